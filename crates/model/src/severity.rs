//! Severity of events and findings.

use std::str::FromStr;

/// How bad it is, in OCSF's order and ids (`severity_id`). People read 信息 低 中 高 严重.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information (信息).
    #[default]
    Informational,
    /// Low (低).
    Low,
    /// Medium (中).
    Medium,
    /// High (高).
    High,
    /// Critical (严重).
    Critical,
}

impl Severity {
    /// All, mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// OCSF `severity_id`.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }

    /// From an OCSF `severity_id`; Fatal (6) is read as critical, Unknown and Other as informational.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            2 => Self::Low,
            3 => Self::Medium,
            4 => Self::High,
            5 | 6 => Self::Critical,
            _ => Self::Informational,
        }
    }

    /// OCSF `severity`.
    #[must_use]
    pub const fn caption(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }

    /// The Sigma level, lower case.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Severity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.level().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is no level: use informational, low, medium, high or critical"))
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.level())
    }
}
