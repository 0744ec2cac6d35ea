//! Timers that bound the executor's sleep.
//!
//! glommio 0.9.0 can park with runnable tasks: when its preemption timer has already fired at the start
//! of a pass (the thread lost its CPU for that long), the pass runs nothing and the executor sleeps until
//! the next event. A timer that is always armed makes sure there is one. There are two, staggered,
//! because the pass a timer wakes can be lost in the same way, and a single timer would then not be
//! armed any more.

use glommio::timer::Timer;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Runs `tick` on this executor for as long as it returns when it is due next. It runs twice as often as that, because
/// two timers take turns. `None` ends both.
pub fn spawn_ticks(tick: impl FnMut() -> Option<Duration> + 'static) {
    let tick = Rc::new(RefCell::new(tick));
    for is_second in [false, true] {
        let tick = Rc::clone(&tick);
        glommio::spawn_local(async move {
            let mut is_staggered = is_second;
            loop {
                let due = (tick.borrow_mut())();
                let Some(mut due) = due else { return };
                if std::mem::take(&mut is_staggered) {
                    due /= 2;
                }
                Timer::new(due).await;
            }
        })
        .detach();
    }
}
