//! Tests of which wakers may wake a workfunction.

use super::*;

#[workfunction(name = "flow.stuck")]
async fn stuck(_cx: Cx) {
    std::future::pending().await
}

#[workfunction(name = "flow.spins")]
async fn spins(_cx: Cx) {
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    })
    .await
}

#[test]
fn what_no_event_would_wake_is_named() {
    assert!(error(Driven::new::<stuck>().start()).starts_with("stuck: "));
    assert!(error(Driven::new::<spins>().start()).contains("wakes itself without end"));
}

/// Waits for a thread beside a sleep.
#[workfunction(name = "flow.threaded")]
async fn threaded(cx: Cx) {
    let place: Arc<Mutex<Option<Waker>>> = Arc::default();
    let of_thread = Arc::clone(&place);
    let waits = std::future::poll_fn(move |context| {
        place.lock().unwrap().replace(context.waker().clone());
        Poll::<()>::Pending
    });
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        of_thread.lock().unwrap().take().map(Waker::wake)
    });
    select! {
        _ = waits => (),
        _ = cx.sleep(Duration::from_secs(1)) => (),
    }
}

#[test]
fn a_wake_from_another_thread_is_named() {
    let mut driven = Driven::new::<threaded>();
    driven.start();
    thread::sleep(Duration::from_millis(50));
    assert!(error(driven.try_step(timer())).contains("something other than the engine"));
}

/// A future that polls what is inside of it only if that was woken, as executors of many futures do.
struct OnlyWoken<F>(std::pin::Pin<Box<F>>, Arc<Woken>);

struct Woken(std::sync::atomic::AtomicBool, Mutex<Option<Waker>>);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        let outer = self.1.lock().unwrap().take();
        if let Some(waker) = outer {
            waker.wake();
        }
    }
}

impl<F: Future> Future for OnlyWoken<F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<F::Output> {
        self.1.1.lock().unwrap().replace(context.waker().clone());
        if !self.1.0.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.1));
        self.0.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    }
}

#[workfunction(name = "flow.only_woken")]
async fn only_woken(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let call = Box::pin(cx.call(plus::with(&x, 1)));
    Ok(OnlyWoken(call, Arc::new(Woken(true.into(), Mutex::default()))).await?)
}

#[test]
fn who_polls_only_what_was_woken_is_served() {
    let mut driven = Driven::new::<only_woken>();
    driven.start();
    assert_eq!(launched(&driven.step(ended(&[("0", done(1))]))), ["result node-1"]);
}
