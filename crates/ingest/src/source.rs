//! Where live telemetry comes from: sockets and watched folders.
