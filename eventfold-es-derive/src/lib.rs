//! The derive macros of `eventfold-es`.
