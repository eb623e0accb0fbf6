//! TLS by rustls: [`Tls`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Mode, Wanted};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// How to speak TLS, and whom to trust.
#[derive(Clone)]
pub(crate) struct Tls(MakeRustlsConnect);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Fails if there are no roots to trust.
    pub(in crate::storage::postgres) fn new(wanted: &Wanted) -> StorageResult<Self> {
        let bug = |error: &dyn fmt::Display| {
            StorageError::new(
                StorageErrorKind::Bug,
                format!("TLS cannot be set up: {error}"),
            )
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| bug(&error))?;
        let is_verified = match wanted.mode {
            Mode::Disable | Mode::Prefer => false,
            Mode::Require => wanted.roots.is_some(),
            Mode::VerifyCa | Mode::VerifyFull => true,
        };
        let chain = if is_verified {
            let roots = Arc::new(roots(wanted.roots.as_deref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            Some(verifier.build().map_err(|error| bug(&error))?)
        } else {
            None
        };
        let mut config = match chain {
            Some(chain) if wanted.mode == Mode::VerifyFull => {
                builder.with_webpki_verifier(chain).with_no_client_auth()
            }
            chain => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName { chain, provider }))
                .with_no_client_auth(),
        };
        // For `sslnegotiation=direct`.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self(MakeRustlsConnect::new(config)))
    }

    pub(in crate::storage::postgres) fn connector(&self) -> MakeRustlsConnect {
        self.0.clone()
    }
}

/// The roots in a file, or those that the system trusts.
fn roots(file: Option<&Path>) -> StorageResult<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let invalid = |text: String| StorageError::new(StorageErrorKind::InvalidInput, text);
    let Some(file) = file else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            let causes: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
            return Err(invalid(format!(
                "the system has no trusted roots ({}): name a file with `sslrootcert`",
                causes.join("; ")
            )));
        }
        return Ok(roots);
    };
    let failed = |error: &dyn fmt::Display| {
        let file = file.display();
        invalid(format!(
            "the trusted roots (`sslrootcert`) cannot be read from {file}: {error}"
        ))
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// Takes certificates for any name: of trusted roots if there is a `chain`, otherwise all.
#[derive(Debug)]
struct AnyName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            // The name is checked last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            done => done,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What to do about a certificate that was refused.
pub(in crate::storage::postgres) fn advice(error: &std::io::Error) -> Option<&'static str> {
    let error: &Error = error.get_ref()?.downcast_ref()?;
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some("use the host's name as the server's certificate has it, or `sslmode=verify-ca`"),
        Error::InvalidCertificate(_) => Some(
            "name the file of the root that signed the server's certificate with `sslrootcert`",
        ),
        _ => None,
    }
}
