//! Rows of processes: guarded by their version, moved by legal transitions only, steered by flags.

use ferry_engine_core::process::State;
use ferry_engine_store::{Body, Change, ErrorKind, Level, NodeId, Process, ProcessFilter, Wishes};

use ferry_plugin_proto::Kind;

use super::{
    Run,
    bench::{Bench, Outcome, log, update},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        a_new_process_is_created_and_live,
        a_row_that_changed_meanwhile_is_not_overwritten,
        each_update_counts,
        only_legal_transitions_are_taken,
        nothing_follows_an_end,
        an_end_clears_the_timer,
        the_live_are_listed_until_they_end,
        filters_choose_and_limits_take_the_newest,
        the_states_are_counted,
        an_observation_changes_no_version,
        a_pause_is_a_wish_beside_the_row,
        a_kill_is_asked_once_and_for_all,
        the_ended_are_left_alone,
        reports_keep_their_order,
        work_directories_are_cleaned_once_they_are_over,
    ]
}

async fn a_new_process_is_created_and_live(bench: Bench) -> Outcome {
    let (id, uuid) = bench.process().await?;
    let row = bench.reader.process(id)?;
    assert_eq!(
        (row.uuid, row.state, row.wishes.paused, row.wishes.kill),
        (uuid, State::Created, false, false)
    );
    assert_eq!((row.end.status, row.checkpoint(), row.root), (None, None, id));
    Ok(())
}

async fn a_row_that_changed_meanwhile_is_not_overwritten(bench: Bench) -> Outcome {
    let (id, _) = bench.process().await?;
    let (mut mine, mut theirs) = (bench.store.process(id)?, bench.store.process(id)?);
    mine.state = State::Running;
    mine.status = Some("mine".into());
    bench.commit([update(mine)]).await?;
    theirs.state = State::Killed;
    bench.refused([log(id, "theirs"), update(theirs)], ErrorKind::Conflict).await?;
    assert_eq!(bench.store.process(id)?.status.as_deref(), Some("mine"));
    assert_eq!(bench.store.logs(id)?, [], "the rest of the late batch was kept");
    Ok(())
}

async fn each_update_counts(bench: Bench) -> Outcome {
    let (id, _) = bench.process().await?;
    let before = bench.store.process(id)?;
    let after = bench.bring(id, &[State::Running, State::Waiting]).await?;
    assert_eq!(after.version, before.version + 2);
    assert!(after.modified >= before.modified);
    Ok(())
}

/// Adds a process and brings it into this state, by the shortest way.
async fn one_in(bench: &Bench, state: State) -> Outcome<NodeId> {
    let (id, _) = bench.process().await?;
    match state {
        State::Created => {}
        State::Running => drop(bench.bring(id, &[State::Running]).await?),
        other => drop(bench.bring(id, &[State::Running, other]).await?),
    }
    Ok(id)
}

async fn only_legal_transitions_are_taken(bench: Bench) -> Outcome {
    for from in State::LIVE {
        for to in State::ALL {
            let mut row = bench.store.process(one_in(&bench, from).await?)?;
            row.state = to;
            row.end.status = (to == State::Finished).then_some(0);
            let taken = bench.store.commit(vec![update(row)]).await;
            let legal = from == to || from.may_become(to);
            assert_eq!(taken.is_ok(), legal, "from {from:?} to {to:?}: {taken:?}");
            assert!(legal || taken.is_err_and(|error| *error.kind() == ErrorKind::Rule));
        }
    }
    Ok(())
}

async fn nothing_follows_an_end(bench: Bench) -> Outcome {
    for end in [State::Finished, State::Excepted, State::Killed] {
        let id = one_in(&bench, end).await?;
        for next in State::ALL {
            let mut row = bench.store.process(id)?;
            row.state = next;
            row.status = Some("after the end".into());
            assert!(bench.store.commit(vec![update(row)]).await.is_err(), "{next:?} after {end:?}");
        }
        assert_eq!(bench.store.process(id)?.state, end);
    }
    Ok(())
}

async fn an_end_clears_the_timer(bench: Bench) -> Outcome {
    for end in [State::Excepted, State::Killed, State::Finished] {
        let id = bench.started(Kind::WorkChain, &[]).await?.0;
        let mut row = bench.bring(id, &[State::Running]).await?;
        let wake = |row: &Process| row.flow().and_then(|flow| flow.wake);
        row.wait_until(row.created);
        bench.commit([update(row)]).await?;
        assert!(wake(&bench.store.process(id)?).is_some());
        let row = bench.bring(id, &[end]).await?;
        assert_eq!(wake(&row), None, "{end:?}");
    }
    Ok(())
}

async fn the_live_are_listed_until_they_end(bench: Bench) -> Outcome {
    let mut live = Vec::new();
    for state in State::ALL {
        let id = one_in(&bench, state).await?;
        if !state.is_terminal() {
            live.push(id);
        }
    }
    let listed: Vec<_> = bench.reader.live_processes()?.into_iter().map(|live| live.id).collect();
    assert_eq!(listed, live);
    Ok(())
}

async fn filters_choose_and_limits_take_the_newest(bench: Bench) -> Outcome {
    let mut all = Vec::new();
    for state in [State::Finished, State::Created, State::Finished, State::Killed, State::Finished] {
        all.push(one_in(&bench, state).await?);
    }
    let list = |filter: ProcessFilter| -> Outcome<Vec<NodeId>> {
        Ok(bench.reader.processes(&filter)?.into_iter().map(|process| process.id).collect())
    };
    let none = ProcessFilter::default();
    assert_eq!(list(none.clone())?, all, "oldest first");
    assert_eq!(list(ProcessFilter { limit: Some(2), ..none.clone() })?, all[3..]);
    let finished = ProcessFilter { states: vec![State::Finished], ..none.clone() };
    assert_eq!(list(finished.clone())?, [all[0], all[2], all[4]]);
    assert_eq!(list(ProcessFilter { limit: Some(1), ..finished })?, [all[4]]);
    assert_eq!(list(ProcessFilter { process_type: Some("test.type".into()), ..none.clone() })?, all);
    assert_eq!(list(ProcessFilter { process_type: Some("test.other".into()), ..none.clone() })?, []);
    bench.commit([group("g"), member("g", bench.store.node(all[1])?.uuid)]).await?;
    assert_eq!(list(ProcessFilter { group: Some("g".into()), ..none })?, [all[1]]);
    Ok(())
}

fn group(label: &str) -> Change {
    Change::Group { label: label.into(), description: String::new(), if_missing: false }
}

fn member(group: &str, node: uuid::Uuid) -> Change {
    Change::Member { group: group.into(), node }
}

async fn the_states_are_counted(bench: Bench) -> Outcome {
    for state in [State::Finished, State::Created, State::Finished] {
        one_in(&bench, state).await?;
    }
    let mut counts = bench.reader.count_processes()?;
    counts.sort_by_key(|(state, _)| state.as_str());
    assert_eq!(counts, [(State::Created, 1), (State::Finished, 2)]);
    assert_eq!(bench.reader.process_total()?, 3);
    Ok(())
}

async fn an_observation_changes_no_version(bench: Bench) -> Outcome {
    let id = one_in(&bench, State::Waiting).await?;
    let before = bench.store.process(id)?;
    let seen = Change::Observed {
        process: id,
        status: Some("waiting for its job".into()),
        scheduler_state: Some("RUNNING".into()),
    };
    bench.commit([seen.clone(), seen]).await?;
    let after = bench.store.process(id)?;
    assert_eq!((after.version, after.scheduler_state()), (before.version, Some("RUNNING")));
    Ok(())
}

async fn a_pause_is_a_wish_beside_the_row(bench: Bench) -> Outcome {
    let id = one_in(&bench, State::Running).await?;
    let before = bench.store.process(id)?;
    let pause = |paused| Change::Pause { process: id, paused };
    for paused in [true, true, false, false, true] {
        bench.commit([pause(paused)]).await?;
        let row = bench.store.process(id)?;
        assert_eq!((row.wishes.paused, row.version), (paused, before.version));
    }
    // A step of the process meanwhile is not disturbed, and does not resume it.
    bench.commit([update(before)]).await?;
    let stepped = bench.store.process(id)?;
    assert!(stepped.wishes.paused, "a step took the pause back");
    // Nor is it held by a step that began during the pause and ends after the resumption.
    bench.commit([pause(false)]).await?;
    bench.commit([update(Process { wishes: Wishes::default(), ..stepped })]).await?;
    let goes_on = bench.store.process(id)?;
    assert!(!goes_on.wishes.paused);
    bench.commit([pause(true), update(Process { state: State::Finished, ..goes_on })]).await?;
    assert!(!bench.store.process(id)?.wishes.paused, "what has ended stands still");
    let [pause, play] = ["pause requested", "play requested"];
    told(&bench, id, &[pause, play, pause, play, pause])
}

/// Checks the requests to a process, as its report lists them.
fn told(bench: &Bench, id: NodeId, lines: &[&str]) -> Outcome {
    let all = bench.reader.logs(id)?;
    let messages: Vec<&str> = all.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(messages, lines);
    Ok(())
}

async fn a_kill_is_asked_once_and_for_all(bench: Bench) -> Outcome {
    let id = one_in(&bench, State::Waiting).await?;
    let before = bench.store.process(id)?;
    let kill = |force| Change::RequestKill { process: id, force };
    bench.commit([kill(false)]).await?;
    assert!(bench.store.process(id)?.wishes.kill);
    bench.commit([kill(true), kill(false)]).await?;
    assert!(bench.store.process(id)?.wishes.kill_forced, "a milder wish takes nothing back");
    // The flag is not part of the row: a step of the process meanwhile is not disturbed, and does not lose
    // it.
    bench.commit([update(before)]).await?;
    assert!(bench.store.process(id)?.wishes.kill);
    told(&bench, id, &["kill requested", "kill requested, by force", "kill requested"])
}

async fn the_ended_are_left_alone(bench: Bench) -> Outcome {
    let id = one_in(&bench, State::Finished).await?;
    let before = bench.store.process(id)?;
    bench
        .commit([
            Change::RequestKill { process: id, force: true },
            Change::Pause { process: id, paused: true },
            Change::Observed { process: id, status: Some("late".into()), scheduler_state: None },
            Change::DropTicket(id),
        ])
        .await?;
    assert_eq!(bench.store.process(id)?, before);
    Ok(())
}

async fn reports_keep_their_order(bench: Bench) -> Outcome {
    let ((id, _), (other, _)) = (bench.process().await?, bench.process().await?);
    for number in 0..20 {
        let odd = Change::Log { process: other, level: Level::Error, message: "another's".into() };
        bench.commit([log(id, &format!("{number}a")), odd, log(id, &format!("{number}b"))]).await?;
    }
    let lines = bench.reader.logs(id)?;
    let expected: Vec<_> = (0..20).flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
    assert_eq!(lines.iter().map(|line| line.message.clone()).collect::<Vec<_>>(), expected);
    assert!(lines.is_sorted_by_key(|line| line.time));
    assert_eq!(bench.reader.logs(other)?[0].level, Level::Error);
    Ok(())
}

async fn work_directories_are_cleaned_once_they_are_over(bench: Bench) -> Outcome {
    let (top, live) =
        (bench.started(Kind::WorkChain, &[]).await?, bench.started(Kind::CalcJob, &[]).await?.0);
    let ended = bench.called_by(top, Kind::CalcJob, "a").await?.0;
    let without = bench.called_by(top, Kind::CalcJob, "b").await?.0;
    for job in [live, ended] {
        let mut row = bench.store.process(job)?;
        row.run(None);
        let Body::Calcjob(of_job) = &mut row.body else { return Err("it is not a calcjob".into()) };
        of_job.work_dir = Some("/w/ab/cd/rest".into());
        bench.commit([update(row)]).await?;
    }
    bench.bring(ended, &[State::Killed]).await?;
    bench.bring(without, &[State::Running, State::Killed]).await?;
    let clean = |process, below| Change::Clean { process, below };
    bench.commit([clean(top.0, true), clean(live, false)]).await?;
    let pending = || -> Outcome<Vec<NodeId>> {
        Ok(bench.reader.cleanings()?.into_iter().map(|cleaning| cleaning.process).collect())
    };
    assert_eq!(pending()?, [ended], "only what has ended and has a directory");
    bench.commit([Change::Cleaned { process: ended, error: Some("away".into()) }]).await?;
    assert_eq!(bench.reader.cleanings()?[0].error.as_deref(), Some("away"));
    bench.commit([Change::Unclean(ended)]).await?;
    assert_eq!(pending()?, [], "the wish is forgotten");
    bench.commit([clean(ended, false)]).await?;
    bench.commit([Change::Cleaned { process: ended, error: None }, clean(ended, false)]).await?;
    assert_eq!(pending()?, [], "what is gone is not wished for again");
    let cleaning = bench.reader.cleaning(ended)?.ok_or("it was forgotten")?;
    assert!(cleaning.cleaned.is_some() && cleaning.error.is_none());
    assert_eq!(bench.reader.cleaning(live)?, None);
    Ok(())
}
