//! Tickets: no number of writers takes more than the bounds.

use ferry_engine::store::{Change, ErrorKind};

use super::{
    Run,
    bench::{Bench, Outcome, log, ticket},
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
