//! `kill -9` at a hundred random moments under load, spread over hold, commit, reply, projection and run. After each
//! restart every machine that got an answer is known, and none that was not approved ever got one.
//!
//! The moments are found from outside: the engine knows nothing of this test. What the machines received and what the
//! engine confirmed is written down here, and held against the database and the engine that comes up again.
//! `PROX_CRASH_SEED` repeats the same machines and pauses; the processes' timing stays their own.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod runs;

#[cfg(test)]
fn seed() -> u64 {
    std::env::var("PROX_CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}
