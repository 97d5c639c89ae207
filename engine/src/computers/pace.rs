//! The pace at which a queue is polled: never twice within the floor, soon after something new, and ever more
//! rarely while nothing changes.
//!
//! The floor counts from the last poll, not from the moment that another one is wanted. A computer that was
//! not polled for longer than the floor is polled immediately.
//!
//! Where jobs report their ends there is no floor for news, since a poll disturbs no other user there. A
//! reported end is checked at once, and again soon if the poll does not confirm it yet. Regular polling only
//! finds the rest.
//!
//! This is no [`BackOff`](crate::back_off::BackOff): nothing has failed. The waits depend on the floor of each
//! computer, on the duration of the last poll and on who waits for it, and end with the first news.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait between two polls, as a multiple of the floor.
const SLOWEST: u32 = 10;
/// The same while a process waits at the gate.
const SLOWEST_AT_GATE: u32 = 2;
/// Time from a submission to the next poll. By then tiny jobs have ended, and the rest of a burst has been
/// submitted.
const EARLY: Duration = Duration::from_millis(500);

/// The shortest time between two polls where jobs report their ends, so that many ends are seen together.
const GAP: Duration = Duration::from_millis(20);
/// The same while a process waits for the room that an end makes.
const GAP_AT_GATE: Duration = Duration::from_millis(5);
/// Pause after a poll, as a multiple of the poll's duration: a poll takes time from the jobs of the same
/// machine. It does not apply while a process waits at the gate, which loses more by the pause than by the
/// poll.
const RESTS: u32 = 4;
/// Time from a reported end to the poll for it: the script that reports still has to exit.
const LAST_WORDS: Duration = Duration::from_millis(2);
/// Time from a submission during a watch to the next poll. The job may have reported its end before the watch
/// knew of it. A watch that begins later finds out by itself.
const EARLY_IF_TOLD: Duration = Duration::from_millis(10);
/// The shortest and the longest wait for news that is not reported, where jobs do report, as multiples of the
/// floor.
const IF_TOLD: (u32, u32) = (10, 50);

/// The pace of the polls of one queue.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// End of the last poll, and its duration.
    last: Option<(Instant, Duration)>,
    /// Time from the last poll to the next one if nothing new comes.
    interval: Duration,
    /// The first and the newest submission since the last poll.
    submitted: Option<(Instant, Instant)>,
    /// True if something waits for the next poll.
    is_hurried: bool,
    /// True if jobs report their ends.
    is_told: bool,
    /// True if a process waited at the gate at the last poll.
    is_gate_wanted: bool,
    /// Time of the first reported end since the last poll.
    told: Option<Instant>,
    /// True if a watch found a job over since the last poll. Another watch would report the same at once.
    is_over: bool,
    /// True if a job was submitted since the last poll, during a watch that began without it.
    is_unwatched: bool,
    /// Time from the last poll to the next one while a reported end is not confirmed yet.
    again: Option<Duration>,
}

impl Pace {
    /// Returns the time at which the next poll is due.
    pub(crate) fn due(&self, floor: Duration) -> Instant {
        if self.is_told { self.due_if_told(floor) } else { self.due_by_floor(floor) }
    }

    fn due_by_floor(&self, floor: Duration) -> Instant {
        let now = Instant::now();
        let (soonest, regular) = match self.last {
            // A slow queue is left alone for at least as long as its last poll took, whatever is new.
            Some((last, took)) => (last + floor.max(took), last + floor.max(self.interval)),
            // There was no poll yet, so no floor has begun.
            None => (now, if self.submitted.is_some() { now + floor } else { now }),
        };
        let wanted = if self.is_hurried { soonest } else { self.early(floor).unwrap_or(regular) };
        soonest.max(wanted.min(regular))
    }

    fn due_if_told(&self, floor: Duration) -> Instant {
        let now = Instant::now();
        let (soonest, regular) = match self.last {
            Some((last, took)) => {
                let gap = if self.is_gate_wanted { GAP_AT_GATE.max(took) } else { GAP.max(took * RESTS) };
                (last + gap, last + floor.max(self.interval))
            }
            None => (now, now + floor),
        };
        let told = self.told.map(|told| told + LAST_WORDS);
        let again = self.again.zip(self.last).map(|(wait, (last, _))| last + wait);
        let early = self.submitted.map(|(first, newest)| {
            let shown = first + floor.min(EARLY);
            if self.is_unwatched { shown.min(newest + EARLY_IF_TOLD) } else { shown }
        });
        let hurried = self.is_hurried.then_some(soonest);
        let wanted = [told, again, early, hurried].into_iter().flatten().min();
        soonest.max(wanted.map_or(regular, |wanted| wanted.min(regular)))
    }

    /// Sets whether jobs report their ends now.
    pub(crate) fn set_told(&mut self, is_told: bool) {
        if self.is_told != is_told {
            self.is_told = is_told;
            (self.interval, self.told, self.again) = (Duration::ZERO, None, None);
        }
    }

    /// Records that a job may have ended. `is_news`: a job has just reported it. Otherwise a watch found it
    /// over, which counts for nothing after a poll that disagreed.
    pub(crate) fn told(&mut self, is_news: bool) {
        self.is_over |= !is_news;
        if is_news || self.again.is_none() {
            self.told.get_or_insert_with(Instant::now);
        }
    }

    /// Returns whether a poll that is due soon finds more than a watch that begins now.
    pub(crate) fn is_look_first(&self) -> bool {
        self.told.is_some() || self.is_unwatched || self.is_over
    }

    /// Returns the time at which the submissions since the last poll call for one: when the burst is over, or
    /// after the floor.
    fn early(&self, floor: Duration) -> Option<Instant> {
        let (first, newest) = self.submitted?;
        Some((newest + EARLY.min(floor)).min(first + floor))
    }

    /// Makes the next poll due as soon as the floor allows.
    pub(crate) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Makes an early poll due, since a job was submitted. `is_watching`: a watch is running that does not
    /// know the job.
    pub(crate) fn submitted(&mut self, is_watching: bool) {
        let now = Instant::now();
        self.is_unwatched |= is_watching;
        let first = self.submitted.map_or(now, |(first, _)| first);
        self.submitted = Some((first, now));
    }

    /// Slows down after a poll that began at `start`, unless it brought news.
    pub(crate) fn looked(&mut self, start: Instant, floor: Duration, has_news: bool, is_gate_wanted: bool) {
        let was_told = self.told.is_some();
        let took = self.ended(start);
        self.is_gate_wanted = is_gate_wanted;
        if self.is_told {
            return self.looked_if_told(took, floor, has_news, was_told);
        }
        // A process that waits at the gate should not wait for slow polling too.
        let slowest = floor * if is_gate_wanted { SLOWEST_AT_GATE } else { SLOWEST };
        let slower = (self.interval.max(floor) * 3 / 2).min(slowest);
        let slower = if has_news { Duration::ZERO } else { slower };
        // A slow queue is polled more rarely.
        self.interval = slower.max(took * 5);
    }

    fn looked_if_told(&mut self, took: Duration, floor: Duration, has_news: bool, was_told: bool) {
        let (first, slowest) = (floor * IF_TOLD.0, floor * IF_TOLD.1);
        self.again = match self.again {
            _ if has_news => None,
            _ if was_told => Some(GAP),
            again => again.map(|wait| (wait * 2).min(slowest)),
        };
        let slower = if has_news { first } else { (self.interval.max(first) * 3 / 2).min(slowest) };
        self.interval = slower.max(took * 5);
    }

    /// Sets the time to wait after a poll that failed.
    pub(crate) fn failed(&mut self, start: Instant, wait: Duration) {
        self.ended(start);
        self.interval = wait;
        // A job found over brings no earlier poll where polls fail.
        self.again = self.is_told.then_some(wait.max(GAP));
    }

    fn ended(&mut self, start: Instant) -> Duration {
        let took = start.elapsed();
        self.last = Some((Instant::now(), took));
        self.submitted = None;
        self.is_hurried = false;
        self.told = None;
        (self.is_unwatched, self.is_over) = (false, false);
        took
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const FLOOR: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Returns the time from now until the next poll.
    fn wait(pace: &Pace) -> Duration {
        pace.due(FLOOR).duration_since(Instant::now())
    }

    /// Records a poll that took no time.
    fn looked(pace: &mut Pace, has_news: bool) {
        pace.looked(Instant::now(), FLOOR, has_news, false);
    }

    #[tokio::test(start_paused = true)]
    async fn after_idleness_the_look_is_due_at_once() {
        let mut pace = Pace::default();
        pace.hurry();
        assert_eq!(wait(&pace), Duration::ZERO, "nobody has ever looked");
        looked(&mut pace, false);
        advance(seconds(45)).await;
        pace.hurry();
        assert_eq!(wait(&pace), seconds(15), "the last look plus the floor");
        advance(seconds(3600)).await;
        assert_eq!(wait(&pace), Duration::ZERO, "the floor is long past");
    }

    #[tokio::test(start_paused = true)]
    async fn a_submission_is_followed_by_an_early_look_and_then_the_interval_grows() {
        let mut pace = Pace::default();
        for _ in 0..9 {
            looked(&mut pace, false);
        }
        assert_eq!(wait(&pace), FLOOR * SLOWEST);
        advance(FLOOR * 2).await;
        pace.submitted(false);
        assert_eq!(wait(&pace), EARLY);
        advance(EARLY).await;
        looked(&mut pace, true);
        assert_eq!(wait(&pace), FLOOR);
        looked(&mut pace, false);
        assert_eq!(wait(&pace), FLOOR * 3 / 2);
        looked(&mut pace, false);
        assert_eq!(wait(&pace), FLOOR * 9 / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn no_submission_brings_two_looks_within_the_floor() {
        let mut pace = Pace::default();
        looked(&mut pace, true);
        advance(seconds(1)).await;
        pace.submitted(false);
        assert_eq!(wait(&pace), seconds(59));
        pace.hurry();
        assert_eq!(wait(&pace), seconds(59));
        let mut fresh = Pace::default();
        fresh.submitted(false);
        fresh.hurry();
        assert_eq!(wait(&fresh), Duration::ZERO, "who waits at the gate does not wait for the burst");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_looked_at_when_it_is_over_and_an_endless_one_after_the_floor() {
        let mut pace = Pace::default();
        for _ in 0..5 {
            pace.submitted(false);
            assert_eq!(wait(&pace), EARLY);
            advance(EARLY / 2).await;
        }
        advance(FLOOR - EARLY * 5 / 2).await;
        pace.submitted(false);
        assert_eq!(wait(&pace), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_queue_rests_as_long_as_it_took() {
        let mut pace = Pace::default();
        let start = Instant::now();
        advance(FLOOR * 2).await;
        pace.looked(start, FLOOR, true, false);
        assert_eq!(wait(&pace), FLOOR * 10, "five times its time");
        pace.submitted(false);
        assert_eq!(wait(&pace), FLOOR * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_failed_is_repeated_after_its_own_wait() {
        let mut pace = Pace::default();
        pace.failed(Instant::now(), FLOOR * 3);
        assert_eq!(wait(&pace), FLOOR * 3);
        pace.failed(Instant::now(), Duration::ZERO);
        assert_eq!(wait(&pace), FLOOR);
    }

    /// Returns a pace after a poll that took no time, where jobs report their ends.
    fn told_of() -> Pace {
        let mut pace = Pace::default();
        pace.set_told(true);
        looked(&mut pace, true);
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_is_looked_at_whatever_the_floor() {
        let mut pace = told_of();
        assert_eq!(wait(&pace), FLOOR * IF_TOLD.0, "polling is the slow way");
        pace.told(true);
        assert_eq!(wait(&pace), GAP, "but not right after a look: a wave is gathered");
        advance(seconds(30)).await;
        looked(&mut pace, true);
        advance(seconds(1)).await;
        pace.told(true);
        assert_eq!(wait(&pace), LAST_WORDS);
        advance(LAST_WORDS).await;
        looked(&mut pace, true);
        assert_eq!(wait(&pace), FLOOR * IF_TOLD.0, "it has come true");
        advance(seconds(1)).await;
        pace.submitted(false);
        assert_eq!(wait(&pace), EARLY, "only to show that it runs: a watch begins");
        pace.submitted(true);
        assert_eq!(wait(&pace), EARLY_IF_TOLD, "it may have ended unseen");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_and_is_not_true_yet_is_looked_for_again_ever_more_rarely() {
        let mut pace = told_of();
        pace.told(true);
        looked(&mut pace, false);
        for expect in [1, 2, 4, 8] {
            assert_eq!(wait(&pace), GAP * expect);
            // A job that every watch finds over, and every poll finds alive, brings no earlier poll.
            pace.told(false);
            assert_eq!(wait(&pace), GAP * expect);
            assert!(pace.is_look_first(), "or watches would follow one another without an end");
            looked(&mut pace, false);
        }
        pace.told(true);
        assert_eq!(wait(&pace), GAP, "another one told");
        looked(&mut pace, true);
        assert_eq!(wait(&pace), FLOOR * IF_TOLD.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_over_brings_no_look_sooner_where_looks_fail() {
        let mut pace = told_of();
        pace.failed(Instant::now(), seconds(8));
        pace.told(false);
        assert_eq!(wait(&pace), seconds(8));
    }

    #[tokio::test(start_paused = true)]
    async fn who_can_no_more_be_told_polls_as_before() {
        let mut pace = told_of();
        pace.set_told(false);
        assert_eq!(wait(&pace), FLOOR);
    }
}
