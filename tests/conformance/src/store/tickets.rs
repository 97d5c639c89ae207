//! Tickets: no number of writers takes more than the bounds.

use ferry_engine_core::{
    computer::Computer,
    scheduler::{Bounds, Cores, Demand, Machine, QueueKey},
};
use ferry_engine_store::{Change, ErrorKind, NodeId, QueueId};

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
        jobs_share_the_cores_and_memory_of_a_machine,
        a_gpu_is_given_to_one_job_and_again_when_that_has_gone,
        no_two_of_many_at_once_get_the_same_core_or_gpu,
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

/// Makes a computer of a host, with a bound on active jobs.
fn computer(label: &str, hostname: &str, max_active_jobs: Option<u32>) -> Computer {
    Computer { label: label.into(), hostname: hostname.into(), max_active_jobs, ..Computer::default() }
}

fn set_up(config: Computer, replace: bool) -> Change {
    Change::Computer { config: Box::new(config), replace }
}

/// Returns the change by which a host names its queue.
fn says(hostname: &str, queue: &str) -> Change {
    let address = computer("", hostname, None).address();
    Change::Queue { address, key: QueueKey { queue: queue.into(), uid: 1000 } }
}

/// Returns the change that takes a ticket under this bound on active jobs.
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
    // Its host was rebooted, and reports this at one of its addresses first.
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

/// Returns the change by which a host states its machine's resources.
fn has(hostname: &str, cores: u32, memory_kb: u64) -> Change {
    let machine = Machine { cores: Some(cores), memory_kb: Some(memory_kb), devices: None };
    Change::Machine { address: computer("", hostname, None).address(), machine }
}

/// Returns the change that takes a ticket for a job with this demand.
fn takes(computer: &str, process: NodeId, cores: u32, memory_kb: u64, gpus: u32) -> Change {
    let (token, bounds) = (process.to_string(), Some(Bounds::default()));
    let demand = Demand { cores, memory_kb, gpus };
    Change::TakeTicket { process, computer: computer.into(), token, bounds, demand }
}

async fn jobs_share_the_cores_and_memory_of_a_machine(bench: Bench) -> Outcome {
    for (label, host) in [("a", "one"), ("b", "alias")] {
        bench.commit([set_up(computer(label, host, None), false), says(host, "boot")]).await?;
    }
    let mut processes = Vec::new();
    for _ in 0..9 {
        processes.push(bench.process().await?.0);
    }
    let p = &processes;
    bench.commit([takes("a", p[0], 99, 0, 0)]).await?;
    bench.commit([Change::DropTicket(p[0]), has("one", 4, 1000)]).await?;
    bench.commit([takes("a", p[1], 3, 600, 0)]).await?;
    // The other computer is the same machine, by its host's word.
    bench.refused([takes("b", p[2], 2, 0, 0)], ErrorKind::Limit).await?;
    bench.refused([takes("b", p[2], 1, 401, 0)], ErrorKind::Limit).await?;
    bench.commit([takes("b", p[2], 1, 400, 0)]).await?;
    bench.refused([takes("a", p[3], 1, 0, 0)], ErrorKind::Limit).await?;
    // A job that exists already is counted, whatever room there is.
    bench
        .commit([Change::TakeTicket {
            process: p[4],
            computer: "a".into(),
            token: "adopted".into(),
            bounds: None,
            demand: Demand { cores: 1, memory_kb: 0, gpus: 0 },
        }])
        .await?;
    bench.commit([Change::DropTicket(p[2])]).await?;
    bench.refused([takes("a", p[3], 1, 0, 0)], ErrorKind::Limit).await?;
    bench.commit([Change::DropTicket(p[1]), takes("a", p[3], 3, 0, 0)]).await?;
    let seen: Vec<_> = bench.store.tickets("a")?.iter().map(|t| (t.process, t.demand.cores)).collect();
    assert_eq!(seen, [(p[3], 3), (p[4], 1)]);
    // The user's setting applies at once.
    let unlimited = Computer { num_cores: Some(Cores::Unlimited), ..computer("a", "one", None) };
    bench.commit([set_up(unlimited, true)]).await?;
    bench.commit([takes("a", p[5], 50, 0, 0)]).await
}

async fn a_gpu_is_given_to_one_job_and_again_when_that_has_gone(bench: Bench) -> Outcome {
    let config = Computer { num_gpus: Some(2), ..computer("a", "one", None) };
    bench.commit([set_up(config, false), has("one", 8, 1000)]).await?;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(bench.process().await?.0);
    }
    let p = &processes;
    let devices = |process: NodeId| -> Outcome<String> {
        let tickets = bench.store.tickets("a")?;
        let ticket = tickets.iter().find(|ticket| ticket.process == process).ok_or("no ticket")?;
        Ok(ticket.devices.join(","))
    };
    bench.commit([takes("a", p[0], 1, 0, 1), takes("a", p[1], 1, 0, 1), takes("a", p[2], 1, 0, 0)]).await?;
    assert_eq!((devices(p[0])?, devices(p[1])?, devices(p[2])?), ("0".into(), "1".into(), String::new()));
    bench.refused([takes("a", p[3], 1, 0, 1)], ErrorKind::Limit).await?;
    // A new try of the same process keeps what it was given.
    bench.commit([takes("a", p[1], 1, 0, 1)]).await?;
    assert_eq!(devices(p[1])?, "1");
    bench.commit([Change::DropTicket(p[0])]).await?;
    bench.refused([takes("a", p[3], 1, 0, 2)], ErrorKind::Limit).await?;
    bench.commit([takes("a", p[3], 1, 0, 1)]).await?;
    assert_eq!(devices(p[3])?, "0");
    Ok(())
}

async fn no_two_of_many_at_once_get_the_same_core_or_gpu(bench: Bench) -> Outcome {
    let config = Computer { num_gpus: Some(3), ..computer("a", "one", None) };
    bench.commit([set_up(config, false), has("one", 5, 1000)]).await?;
    let mut commits = Vec::new();
    for number in 0..30 {
        let ((process, _), store) = (bench.process().await?, bench.store.clone());
        let wish = takes("a", process, 1, 0, number % 2);
        commits.push(tokio::spawn(async move { store.commit(vec![wish]).await }));
    }
    for commit in commits {
        let _ = commit.await?;
    }
    let tickets = bench.store.tickets("a")?;
    assert_eq!(tickets.iter().map(|ticket| ticket.demand.cores).sum::<u32>(), 5);
    let mut given: Vec<&String> = tickets.iter().flat_map(|ticket| &ticket.devices).collect();
    given.sort();
    let all = given.len();
    given.dedup();
    assert!(given.len() == all && all <= 3, "{tickets:?}");
    Ok(())
}
