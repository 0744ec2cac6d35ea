//! The origin of the page that sent a request, which the answer repeats so that the page may read it.
//!
//! Every answer repeats it: a reply, the head of a stream, a refusal. Browsers keep one connection for one page, and
//! pages of one site have one origin, so the text is shared: a warm request with an origin allocates no more than one
//! without.

use std::rc::Rc;

/// The origin that was noted last, for the next connection that comes with the same one.
#[derive(Debug, Default)]
pub struct Origins {
    last: Option<Rc<str>>,
}

impl Origins {
    /// Makes `slot` hold `origin`.
    pub(super) fn note(&mut self, slot: &mut Option<Rc<str>>, origin: Option<&str>) {
        if slot.as_deref() != origin {
            *slot = origin.map(|origin| self.shared(origin));
        }
    }

    #[cold]
    fn shared(&mut self, origin: &str) -> Rc<str> {
        match &self.last {
            Some(last) if **last == *origin => Rc::clone(last),
            _ => Rc::clone(self.last.insert(Rc::from(origin))),
        }
    }
}
