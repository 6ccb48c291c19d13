//! Finds out from its first bytes what a piece of input is.
