//! Compressing a store's journal now: [`AggregateStore::compress`].

use std::io;

use crate::store::AggregateStore;

impl AggregateStore {
    /// Compresses all files of the journal that can be compressed, without the pauses of the background, and
    /// returns how many they were: 0 if all are compressed. It is for a program that stored much and ends
    /// soon, or that measures. Commands are served meanwhile.
    ///
    /// A file can be compressed when another one follows it, and opening the store after a crash does not
    /// need it. So those of the last 32 MiB or so stay as they are, until the store is opened again. Of a
    /// store that is not in a directory it returns 0.
    ///
    /// It also does so if [`compress_journal`](crate::AggregateStoreBuilder::compress_journal) is
    /// `false`.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::StorageFull`]: the disk is full. The file stays as it is, and the store goes on;
    /// * any other: a file could not be read, written, or made durable, or the store was closed meanwhile.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let compressed = store.compress().await?;
    /// println!("{compressed} more files of the journal are compressed");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("zstd", "disk", "space"))]
    pub async fn compress(&self) -> io::Result<u64> {
        Ok(self.inner.storage.compress().await?)
    }
}
