//! Committed expansions.
