//! The journal: every stored event as one line of the log, for the log file and the console's Log tab.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::domain::{Fleet, Recorded};
use crate::headless::Narrator;
use crate::telemetry;

/// Logs events until `shutdown`, and then those that were stored before it: cancel it after the coordinator has stopped.
/// `fleet` is that before the first event.
pub(super) async fn keep(mut events: broadcast::Receiver<Arc<Recorded>>, fleet: Fleet, shutdown: CancellationToken) {
    let mut narrator = Narrator::new(&fleet);
    drop(fleet);
    loop {
        let received = tokio::select! {
            biased;
            received = events.recv() => received,
            () = shutdown.cancelled() => return,
        };
        match received {
            Ok(recorded) => tracing::info!(target: telemetry::EVENTS, "{}", narrator.tell(&recorded)),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!("{missed} events are not in the log: they came too fast; all of them are stored");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::domain::event_samples::events;

    /// Where the lines of a test go.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_event_is_a_line_also_those_stored_before_the_end() {
        let paper = Paper::default();
        let writer = paper.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let all = events();
        let (sender, received) = broadcast::channel(all.len());
        for recorded in &all {
            sender.send(Arc::new(recorded.clone())).unwrap();
        }
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        keep(received, Fleet::default(), shutdown).await;
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), all.len());
        assert!(text.lines().all(|line| line.contains(" INFO prox_orchestrator::events: ")), "{text}");
        assert!(text.contains(": pve-0701.example.com  approved (by anna)\n"), "{text}");
    }
}
