//! Tickets: no number of writers takes more than the bounds.

use ferry_engine::{
    computer::Computer,
    scheduler::{Bounds, QueueKey},
    store::{Change, ErrorKind, NodeId, QueueId},
};

use super::{
    Run,
    bench::{Bench, Outcome, log, ticket, ticket_of},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        a_full_limit_refuses_the_whole_batch,
        pending_and_active_are_bounded_apart,
        a_ticket_is_kept_and_takes_the_new_token,
        a_ticket_given_back_is_free_at_once,
        giving_back_twice_is_fine,
        many_at_once_stay_under_the_bound,
        computers_of_one_queue_share_their_tickets,
        what_is_learned_or_changed_later_holds_at_once,
        tokens_are_those_of_all_computers,
    ]
}

async fn a_full_limit_refuses_the_whole_batch(bench: Bench) -> Outcome {
    let ((a, _), (b, _)) = (bench.process().await?, bench.process().await?);
    bench.commit([ticket(a, "ta", None, Some(1))]).await?;
    bench.refused([log(b, "intends"), ticket(b, "tb", None, Some(1))], ErrorKind::Limit).await?;
    assert_eq!(bench.store.logs(b)?, []);
    bench.refused([ticket(b, "tb", None, Some(0))], ErrorKind::Limit).await?;
    bench.commit([ticket(b, "tb", None, None)]).await
}

async fn pending_and_active_are_bounded_apart(bench: Bench) -> Outcome {
    let ((a, _), (b, _), (c, _)) = (bench.process().await?, bench.process().await?, bench.process().await?);
    let wish = |process, token| ticket(process, token, Some(1), Some(2));
    bench.commit([wish(a, "ta")]).await?;
    bench.refused([wish(b, "tb")], ErrorKind::Limit).await?;
    bench.commit([Change::TicketQueued { process: a, queued: false }]).await?;
    bench.commit([wish(b, "tb")]).await?;
    bench.commit([Change::TicketQueued { process: b, queued: false }]).await?;
    bench.refused([wish(c, "tc")], ErrorKind::Limit).await.map(drop)
}

async fn a_ticket_is_kept_and_takes_the_new_token(bench: Bench) -> Outcome {
    let (a, _) = bench.process().await?;
    bench.commit([ticket(a, "first", None, Some(1))]).await?;
    bench.commit([Change::TicketQueued { process: a, queued: false }]).await?;
    bench.commit([ticket(a, "second", None, Some(1))]).await?;
    let tickets = bench.reader.tickets("there")?;
    let seen: Vec<_> = tickets.iter().map(|t| (t.process, t.token.as_str(), t.queued)).collect();
    assert_eq!(seen, [(a, "second", true)]);
    Ok(())
}

async fn a_ticket_given_back_is_free_at_once(bench: Bench) -> Outcome {
    let ((a, _), (b, _)) = (bench.process().await?, bench.process().await?);
    bench.commit([ticket(a, "ta", None, Some(1))]).await?;
    bench.commit([Change::DropTicket(a), ticket(b, "tb", None, Some(1))]).await?;
    assert_eq!(bench.store.tickets("there")?[0].process, b);
    Ok(())
}

async fn giving_back_twice_is_fine(bench: Bench) -> Outcome {
    let (a, _) = bench.process().await?;
    bench.commit([ticket(a, "ta", None, None)]).await?;
    bench.commit([Change::DropTicket(a), Change::DropTicket(a)]).await?;
    bench.commit([Change::TicketQueued { process: a, queued: true }]).await?;
    assert_eq!(bench.store.tickets("there")?, []);
    Ok(())
}

async fn many_at_once_stay_under_the_bound(bench: Bench) -> Outcome {
    let mut commits = Vec::new();
    for number in 0..40 {
        let ((process, _), store) = (bench.process().await?, bench.store.clone());
        let wish = ticket(process, &number.to_string(), Some(7), Some(30));
        commits.push(tokio::spawn(async move { store.commit(vec![wish]).await }));
    }
    let mut taken = 0;
    for commit in commits {
        match commit.await? {
            Ok(_) => taken += 1,
            Err(error) => assert_eq!(*error.kind(), ErrorKind::Limit),
        }
    }
    assert_eq!((taken, bench.store.tickets("there")?.len()), (7, 7));
    Ok(())
}

/// A computer of a host, with a bound on active jobs.
fn computer(label: &str, hostname: &str, max_active_jobs: Option<u32>) -> Computer {
    Computer { label: label.into(), hostname: hostname.into(), max_active_jobs, ..Computer::default() }
}

fn set_up(config: Computer, replace: bool) -> Change {
    Change::Computer { config: Box::new(config), replace }
}

/// A host says which queue it is.
fn says(hostname: &str, queue: &str) -> Change {
    let address = computer("", hostname, None).address();
    Change::Queue { address, key: QueueKey { queue: queue.into(), uid: 1000 } }
}

/// A place that was given leave under this bound on active jobs.
fn wish(computer: &str, process: NodeId, active: Option<u32>) -> Change {
    ticket_of(computer, process, &process.to_string(), Some(Bounds { queued: None, active }))
}

async fn computers_of_one_queue_share_their_tickets(bench: Bench) -> Outcome {
    let set_ups = [("a", "one"), ("b", "one"), ("c", "other"), ("d", "third")];
    bench.commit(set_ups.map(|(label, host)| set_up(computer(label, host, None), false))).await?;
    bench.commit([says("one", "alpha"), says("other", "alpha"), says("third", "beta")]).await?;
    let sharing = bench.reader.sharing("c")?;
    assert_eq!(sharing.labels().collect::<Vec<_>>(), ["c", "a", "b"]);
    assert_eq!(sharing.queue, QueueId::Named(QueueKey { queue: "alpha".into(), uid: 1000 }));
    let mut processes = Vec::new();
    for _ in 0..5 {
        processes.push(bench.process().await?.0);
    }
    bench.commit([wish("a", processes[0], Some(3))]).await?;
    bench.commit([wish("b", processes[1], Some(3))]).await?;
    bench.commit([wish("c", processes[2], Some(3))]).await?;
    bench.refused([wish("a", processes[3], Some(3))], ErrorKind::Limit).await?;
    bench.commit([wish("d", processes[3], Some(1))]).await?;
    bench.commit([Change::DropTicket(processes[1])]).await?;
    bench.commit([wish("a", processes[4], Some(3))]).await
}

async fn what_is_learned_or_changed_later_holds_at_once(bench: Bench) -> Outcome {
    bench.commit([set_up(computer("a", "one", Some(3)), false)]).await?;
    bench.commit([set_up(computer("b", "other", Some(10)), false)]).await?;
    let mut processes = Vec::new();
    for _ in 0..6 {
        processes.push(bench.process().await?.0);
    }
    for process in &processes[..4] {
        bench.commit([wish("b", *process, Some(10))]).await?;
    }
    bench.commit([says("one", "alpha"), says("other", "alpha")]).await?;
    // This leave is older than what was learned.
    bench.refused([wish("b", processes[4], Some(10))], ErrorKind::Limit).await?;
    bench.refused([wish("b", processes[4], None)], ErrorKind::Limit).await?;
    // A job that is there already is counted all the same.
    bench.commit([ticket_of("b", processes[4], "adopted", None)]).await?;
    bench.commit([set_up(computer("a", "one", None), true)]).await?;
    bench.commit([wish("b", processes[5], Some(10))]).await?;
    // Its host was started again, and says so at one of its addresses first.
    bench.commit([says("one", "gamma")]).await?;
    assert_eq!(bench.reader.sharing("b")?.labels().collect::<Vec<_>>(), ["b"]);
    bench.commit([says("other", "gamma")]).await?;
    assert_eq!(bench.reader.sharing("b")?.labels().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(bench.store.tickets("b")?.len(), 6, "no ticket is lost with a name");
    Ok(())
}

async fn tokens_are_those_of_all_computers(bench: Bench) -> Outcome {
    let ((a, _), (b, _)) = (bench.process().await?, bench.process().await?);
    bench.commit([ticket_of("here", a, "ta", None), ticket_of("there", b, "tb", None)]).await?;
    let mut tokens: Vec<String> = bench.reader.tokens()?.into_iter().collect();
    tokens.sort();
    assert_eq!(tokens, ["ta", "tb"]);
    Ok(())
}
