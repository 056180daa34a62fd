//! The tasks around the coordinator, by name: one that panics is told, not missed.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::snapshot::Problem;

/// Who gathers what is wrong: when it has crashed, nobody would be told of the others.
pub(super) const BOARD: &str = "what gathers the problems";

/// Long-lived tasks, and who of them has panicked.
pub(super) struct Workers {
    /// Ends them all.
    pub(super) shutdown: CancellationToken,
    tasks: TaskTracker,
    crashed: watch::Sender<Vec<&'static str>>,
}

impl Workers {
    pub(super) fn new(crashed: watch::Sender<Vec<&'static str>>) -> Self {
        Self { shutdown: CancellationToken::new(), tasks: TaskTracker::new(), crashed }
    }

    /// Starts one. Its name is the beginning of a sentence: what it does.
    pub(super) fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let crashed = self.crashed.clone();
        let task = tokio::spawn(task);
        self.tasks.spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                tracing::error!("{name} has crashed");
                crashed.send_modify(|names| names.push(name));
            }
        });
    }

    /// Tells them to end, and waits until they have.
    pub(super) async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What the operator is told of one that has crashed.
pub(super) fn problem(name: &str) -> Problem {
    Problem {
        what: format!("{name} has crashed"),
        hint: "the rest goes on: end the console when no machine waits and start it again; the log says why".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_panics_is_told_and_the_others_go_on() {
        let (told, mut crashed) = watch::channel(Vec::new());
        let workers = Workers::new(told);
        let (going, mut gone) = watch::channel(());
        workers.start("what ends", async {});
        workers.start("what fails", async { panic!("on purpose") });
        let shutdown = workers.shutdown.clone();
        workers.start("what goes on", async move {
            shutdown.cancelled().await;
            drop(going);
        });
        assert_eq!(*crashed.wait_for(|names| !names.is_empty()).await.unwrap(), ["what fails"]);
        assert!(gone.has_changed().is_ok(), "the others go on");
        workers.end().await;
        assert!(gone.changed().await.is_err());
        assert_eq!(problem(crashed.borrow()[0]).what, "what fails has crashed");
    }
}
