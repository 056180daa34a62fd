//! What an event is about.

use super::Event;
use crate::domain::id::NodeId;
use crate::domain::walk::WalkStep;

impl Event {
    /// The row an event is about.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::MachineSeen { node, .. }
            | Self::MachineAsked { node, .. }
            | Self::ApprovalVoided { node }
            | Self::Approved { node, .. }
            | Self::Admitted { node, .. }
            | Self::Merged { node, .. }
            | Self::Unmerged { node, .. }
            | Self::SplitOff { node, .. }
            | Self::Banned { node, .. }
            | Self::Rejected { node, .. }
            | Self::ReinstallAllowed { node, .. }
            | Self::AnswerReleased { node, .. }
            | Self::AnswerDelivered { node, .. }
            | Self::AnswerLost { node, .. }
            | Self::RepeatsOver { node }
            | Self::RetryServed { node, .. }
            | Self::RefusalServed { node, .. }
            | Self::TakenBack { node, .. }
            | Self::Withdrawn { node }
            | Self::Flagged { node, .. }
            | Self::ReportAccepted { node, .. }
            | Self::MarkedInstalled { node }
            | Self::Renamed { node, .. }
            | Self::ProfileChosen { node, .. }
            | Self::CounterTaken { node, .. }
            | Self::AddressSet { node, .. }
            | Self::Stalled { node, .. }
            | Self::Booting { node }
            | Self::BecameReady { node }
            | Self::BecameUnreachable { node, .. }
            | Self::LeftBehind { node, .. }
            | Self::Unflagged { node, .. }
            | Self::HostKeySeen { node, .. }
            | Self::HostKeyTrusted { node, .. }
            | Self::Forgotten { node }
            | Self::Planned { node, .. }
            | Self::PlanChanged { node, .. }
            | Self::PlanMatched { node, .. }
            | Self::PlanJoined { node, .. }
            | Self::Unplanned { node }
            | Self::AddressAssigned { node, .. }
            | Self::NicChosen { node, .. }
            | Self::Swapped { node, .. }
            | Self::NoteSet { node, .. }
            | Self::Walked { step: WalkStep::Took { node, .. } | WalkStep::Returned { node, .. } }
            | Self::GaveWay { node, .. }
            | Self::Imported { node, .. } => Some(*node),
            Self::ReportUnmatched { .. }
            | Self::ReportSettled { .. }
            | Self::TicketIssued { .. }
            | Self::TicketClosed { .. }
            | Self::BanLifted { .. }
            | Self::RunQueued { .. }
            | Self::RunStarted { .. }
            | Self::RunStopping { .. }
            | Self::RunEnded { .. }
            | Self::GateCounting { .. }
            | Self::GateStopped
            | Self::GateHeld
            | Self::GateReleased
            | Self::GateWaived { .. }
            | Self::TokenMade { .. }
            | Self::TokenRevoked { .. }
            | Self::Walked {
                step: WalkStep::Begun { .. } | WalkStep::Skipped { .. } | WalkStep::Back { .. } | WalkStep::Ended,
            } => None,
        }
    }

    /// Rows whose machine is another one, or has another place, by this event than before.
    #[must_use]
    pub fn regrouped(&self) -> [Option<NodeId>; 2] {
        if let Self::Merged { node, gone: other }
        | Self::Swapped { node, other, .. }
        | Self::Unmerged { node, row: other, .. }
        | Self::SplitOff { node, row: other, .. } = self
        {
            return [Some(*node), Some(*other)];
        }
        let Self::Walked { step: WalkStep::Returned { node, .. } } = self else { return [None; 2] };
        [Some(*node), None]
    }
}
