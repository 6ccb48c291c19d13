//! Kubernetes audit events.
