//! Windows event log files.
