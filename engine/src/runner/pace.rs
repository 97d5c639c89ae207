//! When a queue is looked at: never twice within the floor, soon after something new, and ever more rarely while
//! nothing changes.
//!
//! The floor counts from the last look, not from the moment that somebody wants another one: a computer that was
//! left alone for longer is looked at at once.
//!
//! Where jobs tell of their ends there is no floor for news, since a look disturbs nobody else there: what was told is
//! looked at at once, and again soon if nothing has come of it yet. Polling is only what finds the rest.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait between two looks, as a multiple of the floor.
const SLOWEST: u32 = 10;
/// The same while somebody waits at the gate.
const SLOWEST_AT_GATE: u32 = 2;
/// How long after a submission the queue is looked at: by then tiny jobs have ended, and more submissions of one
/// burst have come.
const EARLY: Duration = Duration::from_millis(500);

/// The shortest time between two looks where jobs tell of their ends: so a wave of ends is gathered.
const GAP: Duration = Duration::from_millis(20);
/// The same while somebody waits for the room that an end makes.
const GAP_AT_GATE: Duration = Duration::from_millis(5);
/// How long one rests after a look, as a multiple of its time: a look costs the jobs of the same machine. Who waits at
/// the gate loses more by the rest than by the look.
const RESTS: u32 = 4;
/// How long after it was told a job's end is looked for: the script that tells has yet to end itself.
const LAST_WORDS: Duration = Duration::from_millis(2);
/// How long after a submission during a watch those look that are told of ends: the job may have told of its end
/// before anybody here knew it. A watch that begins later finds out by itself.
const EARLY_IF_TOLD: Duration = Duration::from_millis(10);
/// The shortest and the longest wait for news that nobody tells, as multiples of the floor, where jobs do.
const IF_TOLD: (u32, u32) = (10, 50);

/// The pace of the looks at one queue.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
    /// How long after it the next one follows if nothing new comes.
    interval: Duration,
    /// The first and the newest submission since then.
    submitted: Option<(Instant, Instant)>,
    /// Somebody waits for the next look.
    is_hurried: bool,
    /// Jobs tell of their ends.
    is_told: bool,
    /// Somebody waits at the gate since the last look.
    is_gate_wanted: bool,
    /// When one did, since the last look.
    told: Option<Instant>,
    /// A watch found a job over, since the last look: another one would say the same, at once.
    is_over: bool,
    /// A job was submitted during a watch that began without it, since then.
    is_unwatched: bool,
    /// How long after the last look, to which nothing that was told has come true yet, the next one follows.
    again: Option<Duration>,
}

impl Pace {
    /// Returns when the next look is due.
    pub(super) fn due(&self, floor: Duration) -> Instant {
        if self.is_told { self.due_if_told(floor) } else { self.due_by_floor(floor) }
    }

    fn due_by_floor(&self, floor: Duration) -> Instant {
        let now = Instant::now();
        let (soonest, regular) = match self.last {
            // A queue that takes its time gets as much rest as work, whatever is new.
            Some((last, took)) => (last + floor.max(took), last + floor.max(self.interval)),
            // Nobody has looked yet, so that no floor has begun.
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

    /// Sets whether jobs tell of their ends now.
    pub(super) fn set_told(&mut self, is_told: bool) {
        if self.is_told != is_told {
            self.is_told = is_told;
            (self.interval, self.told, self.again) = (Duration::ZERO, None, None);
        }
    }

    /// Takes note that a job may have ended. `is_news`: one has just said so; otherwise one was found over, which is
    /// worth nothing more after a look that thought differently.
    pub(super) fn told(&mut self, is_news: bool) {
        self.is_over |= !is_news;
        if is_news || self.again.is_none() {
            self.told.get_or_insert_with(Instant::now);
        }
    }

    /// Returns whether a look that will be soon finds more than a watch which begins now.
    pub(super) fn is_look_first(&self) -> bool {
        self.told.is_some() || self.is_unwatched || self.is_over
    }

    /// Returns when the submissions since the last look want one: when the burst is over, or after a floor's time.
    fn early(&self, floor: Duration) -> Option<Instant> {
        let (first, newest) = self.submitted?;
        Some((newest + EARLY.min(floor)).min(first + floor))
    }

    /// Makes the next look due as soon as the floor lets it.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Makes an early look due, since a job was submitted. `is_watching`: a watch goes on that knows nothing of it.
    pub(super) fn submitted(&mut self, is_watching: bool) {
        let now = Instant::now();
        self.is_unwatched |= is_watching;
        let first = self.submitted.map_or(now, |(first, _)| first);
        self.submitted = Some((first, now));
    }

    /// Slows down after a look that began at `start`, unless it brought news.
    pub(super) fn looked(&mut self, start: Instant, floor: Duration, has_news: bool, is_gate_wanted: bool) {
        let was_told = self.told.is_some();
        let took = self.ended(start);
        self.is_gate_wanted = is_gate_wanted;
        if self.is_told {
            return self.looked_if_told(took, floor, has_news, was_told);
        }
        // Who waits at the gate is not made to wait for a slow poll too.
        let slowest = floor * if is_gate_wanted { SLOWEST_AT_GATE } else { SLOWEST };
        let slower = (self.interval.max(floor) * 3 / 2).min(slowest);
        let slower = if has_news { Duration::ZERO } else { slower };
        // A slow queue is asked more rarely.
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

    /// Waits for so long after a look that failed.
    pub(super) fn failed(&mut self, start: Instant, wait: Duration) {
        self.ended(start);
        self.interval = wait;
        // A job that is over brings no look sooner where looks fail.
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

    /// How long from now until the next look.
    fn wait(pace: &Pace) -> Duration {
        pace.due(FLOOR).duration_since(Instant::now())
    }

    /// A pace after a look that took no time.
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

    /// A pace after a look that took no time, where jobs tell of their ends.
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
            // A job that every watch finds over, and every look alive, brings no look sooner.
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
