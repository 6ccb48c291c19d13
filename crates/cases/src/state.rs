//! The states of an incident and the ways between them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an incident stands (OCSF Incident Finding `status_id` 1 to 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked yet (新建).
    #[default]
    New,
    /// Somebody is on it (处置中).
    InProgress,
    /// Waiting for something outside (挂起).
    OnHold,
    /// The cause is removed (已解决).
    Resolved,
    /// Nothing more will be done (已关闭).
    Closed,
}

/// Why an incident may not change its state as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// There is no such way.
    #[error(
        "an incident that is `{from}` cannot become `{to}`; it can become {}",
        names(from.next())
    )]
    NotAllowed {
        /// The state it is in.
        from: State,
        /// The state that was asked for.
        to: State,
    },
    /// This way needs a reason.
    #[error("say in the note why the incident goes from `{from}` to `{to}`")]
    ReasonMissing {
        /// The state it is in.
        from: State,
        /// The state that was asked for.
        to: State,
    },
    /// The reason is longer than is kept.
    #[error(transparent)]
    Note(#[from] crate::NoteError),
}

impl State {
    /// All, in the order of OCSF.
    pub const ALL: [Self; 5] = [Self::New, Self::InProgress, Self::OnHold, Self::Resolved, Self::Closed];

    /// OCSF `status_id`.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::New => 1,
            Self::InProgress => 2,
            Self::OnHold => 3,
            Self::Resolved => 4,
            Self::Closed => 5,
        }
    }

    /// OCSF `status`.
    #[must_use]
    pub const fn caption(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::InProgress => "In Progress",
            Self::OnHold => "On Hold",
            Self::Resolved => "Resolved",
            Self::Closed => "Closed",
        }
    }

    /// The name in Chinese.
    #[must_use]
    pub const fn caption_zh(self) -> &'static str {
        match self {
            Self::New => "新建",
            Self::InProgress => "处置中",
            Self::OnHold => "挂起",
            Self::Resolved => "已解决",
            Self::Closed => "已关闭",
        }
    }

    /// The name in JSON and addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in_progress",
            Self::OnHold => "on_hold",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// Whether work on it is not over: new findings join only open incidents.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::InProgress | Self::OnHold)
    }

    /// The states that may follow. An incident that is over may be taken up again; none becomes new again.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::New => &[Self::InProgress, Self::OnHold, Self::Resolved, Self::Closed],
            Self::InProgress => &[Self::OnHold, Self::Resolved, Self::Closed],
            Self::OnHold => &[Self::InProgress, Self::Resolved, Self::Closed],
            Self::Resolved => &[Self::InProgress, Self::Closed],
            Self::Closed => &[Self::InProgress],
        }
    }

    /// Checks the way from here to `to`. Whatever stops or restarts the work needs a reason: the next shift reads it.
    ///
    /// # Errors
    /// The way does not exist, or `reason` is blank where one is needed.
    pub fn check(self, to: Self, reason: &str) -> Result<(), TransitionError> {
        if !self.next().contains(&to) {
            return Err(TransitionError::NotAllowed { from: self, to });
        }
        let is_restart = !self.is_open();
        if (to != Self::InProgress || is_restart) && reason.trim().is_empty() {
            return Err(TransitionError::ReasonMissing { from: self, to });
        }
        Ok(())
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| format!("`{text}` is no state: use {}", names(&Self::ALL)))
    }
}

fn names(states: &[State]) -> String {
    let names: Vec<String> = states.iter().map(|state| format!("`{state}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_left_and_none_becomes_new_again() {
        for from in State::ALL {
            assert!(!from.next().is_empty());
            assert!(!from.next().contains(&State::New));
            assert!(!from.next().contains(&from));
            assert_eq!(from.name().parse(), Ok(from));
        }
    }

    #[test]
    fn stopping_and_restarting_need_a_reason() {
        assert_eq!(State::New.check(State::InProgress, ""), Ok(()));
        assert!(matches!(State::New.check(State::Closed, " \n"), Err(TransitionError::ReasonMissing { .. })));
        assert_eq!(State::New.check(State::Closed, "误报：内部漏洞扫描"), Ok(()));
        assert!(matches!(
            State::Closed.check(State::InProgress, ""),
            Err(TransitionError::ReasonMissing { .. })
        ));
    }

    #[test]
    fn a_refusal_names_the_ways_there_are() {
        let refusal = State::Closed.check(State::Resolved, "x").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "an incident that is `closed` cannot become `resolved`; it can become `in_progress`"
        );
    }
}
