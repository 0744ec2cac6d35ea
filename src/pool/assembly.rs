//! Assembly buffers: they hold requests that arrive in pieces, or wait behind another.
//!
//! A shard has a fixed number of them, each made when it is first needed and then kept: large ones for requests in
//! pieces, and for each place in the wait queue one that holds a request as it arrived. A request larger than its
//! buffer grows onto the heap, charged to the shard's [`HeapBudget`]; the pool gets a buffer of the standard size back.
//! When all are lent, an extra one lies on the heap altogether. A request that arrives whole and is served at once, as
//! most are, never needs a buffer.

use super::heap::{HeapBudget, OutOfMemory};

/// The purpose of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A request that arrives in pieces, or bytes behind a request that is being served.
    Pieces,
    /// A request that waits for a handler.
    Waiting,
}

/// Bytes of one connection that are not served yet, oldest first.
#[derive(Debug)]
pub struct Assembly {
    bytes: Vec<u8>,
    start: usize,
    charged: usize,
    /// Bytes that are in its buffer while the ring has that, to receive into it.
    lent: Option<usize>,
    /// Its own buffer, while the bytes have outgrown it. The buffer is kept, because a new one would lie at the top of
    /// the heap and keep everything below it from going back to the kernel.
    outgrown: Option<Vec<u8>>,
    /// The purpose; `None` for an extra one.
    purpose: Option<Purpose>,
}

impl Assembly {
    /// The bytes that were not consumed yet.
    pub fn window(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// How many bytes these are, also while the ring has the buffer.
    pub fn kept_bytes(&self) -> usize {
        self.lent.unwrap_or(self.bytes.len()) - self.start
    }

    /// Whether the ring has the buffer: then nothing can be read of it, and it cannot be given back.
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Lends the buffer to the ring, which receives into it, until [`put_back`](Self::put_back).
    pub fn lend(&mut self) -> Vec<u8> {
        assert!(self.lent.is_none(), "a buffer is lent twice");
        self.lent = Some(self.bytes.len());
        std::mem::take(&mut self.bytes)
    }

    /// Takes the buffer back, with what was received behind what was in it.
    pub fn put_back(&mut self, buffer: Vec<u8>) {
        let lent = self.lent.take();
        assert!(
            lent.is_some_and(|bytes| bytes <= buffer.len()),
            "not the buffer that was lent"
        );
        self.bytes = buffer;
    }

    /// Whether everything was consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// The purpose of its buffer; `None` for an extra one.
    pub fn purpose(&self) -> Option<Purpose> {
        self.purpose
    }

    fn drop_consumed(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
    }

    /// Drops `count` bytes from the front.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        assert!(
            self.start <= self.bytes.len(),
            "consumed {} of {}",
            self.start,
            self.bytes.len()
        );
    }
}

/// The shard's assembly buffers.
#[derive(Debug)]
pub struct AssemblyPool {
    pieces: Buffers,
    waiting: Buffers,
    heap: HeapBudget,
}

/// Buffers of one purpose.
#[derive(Debug)]
struct Buffers {
    /// Boxed, so that a connection without one pays a pointer, and lending one allocates nothing.
    #[allow(clippy::vec_box, reason = "the boxes are what is lent")]
    free: Vec<Box<Assembly>>,
    total: usize,
    each_bytes: usize,
}

impl Buffers {
    fn new(purpose: Purpose, total: usize, each_bytes: usize) -> Buffers {
        let buffer = |_| {
            Box::new(Assembly {
                bytes: Vec::new(),
                start: 0,
                charged: 0,
                lent: None,
                outgrown: None,
                purpose: Some(purpose),
            })
        };
        Buffers {
            free: (0..total).map(buffer).collect(),
            total,
            each_bytes,
        }
    }
}

/// The number of buffers, and the size of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblySizes {
    /// Buffers for requests in pieces.
    pub pieces: usize,
    /// The size of each of those, in bytes.
    pub pieces_bytes: usize,
    /// Buffers for requests that wait.
    pub waiting: usize,
    /// The size of each of those, in bytes.
    pub waiting_bytes: usize,
}

impl AssemblyPool {
    /// Makes the pool. Its buffers are counted apart from `heap`, which is for what outgrows them; the one given back
    /// last is lent first, so that no more are ever made than are lent at one time.
    pub fn new(sizes: AssemblySizes, heap: HeapBudget) -> AssemblyPool {
        AssemblyPool {
            pieces: Buffers::new(Purpose::Pieces, sizes.pieces, sizes.pieces_bytes),
            waiting: Buffers::new(Purpose::Waiting, sizes.waiting, sizes.waiting_bytes),
            heap,
        }
    }

    /// Makes the buffers that do not exist yet, and makes all pages resident.
    pub fn prefault(&mut self) {
        for buffers in [&mut self.pieces, &mut self.waiting] {
            for assembly in &mut buffers.free {
                assembly.bytes.reserve_exact(buffers.each_bytes);
                super::handlers::touch(&mut assembly.bytes);
            }
        }
    }

    fn buffers(&self, purpose: Purpose) -> &Buffers {
        match purpose {
            Purpose::Pieces => &self.pieces,
            Purpose::Waiting => &self.waiting,
        }
    }

    fn buffers_mut(&mut self, purpose: Purpose) -> &mut Buffers {
        match purpose {
            Purpose::Pieces => &mut self.pieces,
            Purpose::Waiting => &mut self.waiting,
        }
    }

    /// An empty assembly, or `None` when all buffers of this purpose are lent.
    pub fn take(&mut self, purpose: Purpose) -> Option<Box<Assembly>> {
        let buffers = self.buffers_mut(purpose);
        let mut assembly = buffers.free.pop()?;
        if assembly.bytes.capacity() == 0 {
            assembly.bytes.reserve_exact(buffers.each_bytes);
        }
        Some(assembly)
    }

    /// An empty assembly without a buffer: everything that it will hold is charged to the heap.
    pub fn extra(&self) -> Box<Assembly> {
        Box::new(Assembly {
            bytes: Vec::new(),
            start: 0,
            charged: 0,
            lent: None,
            outgrown: None,
            purpose: None,
        })
    }

    /// Takes an assembly back and refunds what it had charged.
    pub fn give_back(&mut self, mut assembly: Box<Assembly>) {
        assert!(!assembly.is_lent(), "given back while the ring receives into it");
        self.heap.refund(std::mem::take(&mut assembly.charged));
        let Some(purpose) = assembly.purpose else {
            return self.heap.put(assembly.bytes);
        };
        if let Some(own) = assembly.outgrown.take() {
            self.heap.put(std::mem::replace(&mut assembly.bytes, own));
        }
        let buffers = self.buffers_mut(purpose);
        assembly.start = 0;
        assembly.bytes.clear();
        debug_assert_eq!(assembly.bytes.capacity(), buffers.each_bytes, "its own buffer");
        buffers.free.push(assembly);
        debug_assert!(
            buffers.free.len() <= buffers.total,
            "an assembly buffer was given back twice"
        );
    }

    /// Appends to an assembly, which may grow onto the heap.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the budget does not allow the growth; the assembly is unchanged then.
    pub fn append(&self, assembly: &mut Assembly, piece: &[u8]) -> Result<(), OutOfMemory> {
        if assembly.bytes.len() + piece.len() > assembly.bytes.capacity() && assembly.start > 0 {
            assembly.drop_consumed();
        }
        let needed = assembly.bytes.len() + piece.len();
        if needed > assembly.bytes.capacity() {
            self.grow(assembly, needed.max(assembly.bytes.capacity() * 2))?;
        }
        assembly.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Makes room for bytes that are to be received behind those of an assembly, of which `missing` are still to come,
    /// and returns for how many there is room. All of them get room at once, so that none is copied again, unless that
    /// would take more than half of the budget: then the room doubles with what has come.
    ///
    /// # Errors
    /// [`OutOfMemory`] when there is room for none, and no memory for more.
    pub fn make_room(&self, assembly: &mut Assembly, missing: usize) -> Result<usize, OutOfMemory> {
        let room = |assembly: &Assembly| (assembly.bytes.capacity() - assembly.bytes.len()).min(missing);
        if room(assembly) < missing && assembly.start > 0 {
            assembly.drop_consumed();
        }
        let present = room(assembly);
        let whole = assembly.bytes.len() + missing;
        let gets_all = self.heap.is_half_free_beside(whole);
        if present == missing || present > 0 && !gets_all {
            return Ok(present);
        }
        let bytes = if gets_all {
            whole
        } else {
            whole.min(2 * assembly.bytes.capacity())
        };
        match self.grow(assembly, bytes) {
            Err(full) if present == 0 => Err(full),
            _ => Ok(room(assembly)),
        }
    }

    /// Moves an assembly to a heap buffer with room for so many bytes, which are more than its own has.
    fn grow(&self, assembly: &mut Assembly, bytes: usize) -> Result<(), OutOfMemory> {
        let mut larger = self.heap.take(bytes);
        let capacity = larger.capacity();
        if let Err(full) = self.heap.charge(capacity - assembly.charged) {
            self.heap.put(larger);
            return Err(full);
        }
        larger.extend_from_slice(&assembly.bytes);
        let smaller = std::mem::replace(&mut assembly.bytes, larger);
        if assembly.charged == 0 && assembly.purpose.is_some() {
            assembly.outgrown = Some(smaller);
        } else {
            self.heap.put(smaller);
        }
        assembly.charged = capacity;
        Ok(())
    }

    /// Frees the large buffers that were not needed since the last call.
    pub fn release_unneeded(&self) {
        self.heap.release_unneeded();
    }

    /// The number of buffers made at start.
    pub fn total(&self, purpose: Purpose) -> usize {
        self.buffers(purpose).total
    }

    /// The number of buffers that are not lent.
    pub fn free(&self, purpose: Purpose) -> usize {
        self.buffers(purpose).free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (AssemblyPool, HeapBudget) {
        let sizes = AssemblySizes {
            pieces: 2,
            pieces_bytes: 16,
            waiting: 1,
            waiting_bytes: 8,
        };
        let heap = HeapBudget::new(100);
        (AssemblyPool::new(sizes, heap.clone()), heap)
    }

    #[test]
    fn keeps_what_was_not_consumed_in_order() {
        let (mut pool, budget) = pool();
        let mut assembly = pool.take(Purpose::Pieces).unwrap();
        pool.append(&mut assembly, b"abcdefgh").unwrap();
        assembly.consume(6);
        pool.append(&mut assembly, b"0123456789").unwrap();
        assert_eq!(assembly.window(), b"gh0123456789");
        assert_eq!(
            budget.used(),
            0,
            "there was room once the consumed front was dropped"
        );
    }

    #[test]
    fn growth_is_charged_and_refunded() {
        let (mut pool, budget) = pool();
        let mut assembly = pool.take(Purpose::Pieces).unwrap();
        pool.append(&mut assembly, &[1; 40]).unwrap();
        assert_eq!(budget.used(), 40);
        pool.append(&mut assembly, &[2; 40]).unwrap();
        assert_eq!(budget.used(), 80);
        let refused = pool.append(&mut assembly, &[3; 200]).unwrap_err();
        assert_eq!((refused.left, refused.max), (20, 100));
        assert_eq!(assembly.window().len(), 80);
        pool.give_back(assembly);
        assert_eq!((budget.used(), pool.free(Purpose::Pieces)), (0, 2));
        assert_eq!(pool.take(Purpose::Pieces).unwrap().bytes.capacity(), 16);
    }

    #[test]
    fn the_rest_of_a_body_gets_its_room_at_once() {
        let (mut pool, budget) = pool();
        let mut assembly = pool.take(Purpose::Pieces).unwrap();
        pool.append(&mut assembly, b"0123456789").unwrap();
        assert_eq!(pool.make_room(&mut assembly, 6), Ok(6), "its own buffer has room");
        assert_eq!(pool.make_room(&mut assembly, 30), Ok(30));
        assert_eq!((budget.used(), assembly.bytes.capacity()), (40, 40));
        let mut lent = assembly.lend();
        assert_eq!((assembly.window(), assembly.kept_bytes()), (&b""[..], 10));
        lent.extend_from_slice(b"behind");
        assembly.put_back(lent);
        assert_eq!(assembly.window(), b"0123456789behind");
        pool.give_back(assembly);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_body_that_would_take_half_of_the_budget_gets_room_as_it_comes() {
        let (mut pool, budget) = pool();
        let mut assembly = pool.take(Purpose::Pieces).unwrap();
        pool.append(&mut assembly, b"0123456789").unwrap();
        assert_eq!(
            pool.make_room(&mut assembly, 70),
            Ok(6),
            "what there is comes first"
        );
        pool.append(&mut assembly, b"abcdef").unwrap();
        assert_eq!(pool.make_room(&mut assembly, 64), Ok(16), "then it doubles");
        assert_eq!(budget.used(), 32);
        pool.append(&mut assembly, &[b'x'; 16]).unwrap();
        budget.charge(60).unwrap();
        pool.make_room(&mut assembly, 48).unwrap_err();
        assert_eq!(assembly.kept_bytes(), 32);
    }

    #[test]
    fn runs_out_and_recovers() {
        let (mut pool, _) = pool();
        let first = pool.take(Purpose::Pieces).unwrap();
        let _second = pool.take(Purpose::Pieces).unwrap();
        assert!(pool.take(Purpose::Pieces).is_none());
        pool.give_back(first);
        assert!(pool.take(Purpose::Pieces).is_some());
    }

    #[test]
    fn each_purpose_has_buffers_of_its_own() {
        let (mut pool, _) = pool();
        let waiting = pool.take(Purpose::Waiting).unwrap();
        assert!(pool.take(Purpose::Waiting).is_none());
        assert_eq!(
            (waiting.purpose(), pool.free(Purpose::Pieces)),
            (Some(Purpose::Waiting), 2)
        );
        pool.give_back(waiting);
        assert_eq!(pool.free(Purpose::Waiting), 1);
        assert_eq!(pool.take(Purpose::Waiting).unwrap().bytes.capacity(), 8);
    }

    #[test]
    fn an_extra_assembly_is_charged_for_all_it_holds() {
        let (mut pool, budget) = pool();
        let mut extra = pool.extra();
        pool.append(&mut extra, &[1; 30]).unwrap();
        assert_eq!(budget.used(), 30);
        pool.append(&mut extra, &[1; 80]).unwrap_err();
        pool.give_back(extra);
        assert_eq!((budget.used(), pool.free(Purpose::Pieces)), (0, 2));
    }
}
