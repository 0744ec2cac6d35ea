//! The lists of a child: read whole, page by page, and kept as the bytes it wrote.
//!
//! What a child can make us keep is bounded; a list that exceeds a bound, or comes back to a page it had, ends with
//! what there is.

use std::fmt;

use crate::children::line::write_without_breaks;
use crate::jsonrpc::{element_spans, members};

/// Pages of a list that are read.
const PAGES_MAX: usize = 64;
/// Items of a list that are kept.
const ITEMS_MAX: usize = 10_000;
/// Bytes of a list's items that are kept.
const BYTES_MAX: usize = 8 << 20;

/// The lists that a server may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListName {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl ListName {
    /// All of them.
    pub const ALL: [ListName; 4] = [
        ListName::Tools,
        ListName::Prompts,
        ListName::Resources,
        ListName::ResourceTemplates,
    ];

    /// The method by which it is read.
    pub fn method(self) -> &'static str {
        match self {
            ListName::Tools => "tools/list",
            ListName::Prompts => "prompts/list",
            ListName::Resources => "resources/list",
            ListName::ResourceTemplates => "resources/templates/list",
        }
    }

    /// The member of the result that has the items.
    pub fn member(self) -> &'static str {
        match self {
            ListName::Tools => "tools",
            ListName::Prompts => "prompts",
            ListName::Resources => "resources",
            ListName::ResourceTemplates => "resourceTemplates",
        }
    }
}

/// All lists of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildLists([ItemList; ListName::ALL.len()]);

impl ChildLists {
    /// One of them.
    pub fn list(&self, name: ListName) -> &ItemList {
        &self.0[name as usize]
    }

    /// Lists that could not be read stay as they were before.
    pub fn keep_unread(&mut self, before: &ChildLists) {
        for (list, before) in self.0.iter_mut().zip(&before.0) {
            if list.is_unread {
                list.clone_from(before);
            }
        }
    }

    pub(super) fn put(&mut self, name: ListName, list: ItemList) {
        self.0[name as usize] = list;
    }
}

/// The items of a list, each an object of JSON as the child wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemList {
    text: Vec<u8>,
    /// Where each item ends in the text.
    ends: Vec<usize>,
    cut_by: Option<ListLimit>,
    /// The child has refused a page of it.
    is_unread: bool,
}

/// Why a list is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListLimit {
    /// It has more pages.
    Pages,
    /// It has more items.
    Items,
    /// Its items have more bytes.
    Bytes,
    /// Its pages go in a circle.
    Circle,
}

impl fmt::Display for ListLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListLimit::Pages => write!(f, "{PAGES_MAX} pages"),
            ListLimit::Items => write!(f, "{ITEMS_MAX} items"),
            ListLimit::Bytes => write!(f, "{} MiB", BYTES_MAX >> 20),
            ListLimit::Circle => f.write_str("a cursor that it has given before"),
        }
    }
}

impl ItemList {
    /// The number of items.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One item.
    pub fn item(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        self.text.get(self.begin(index)..end)
    }

    /// Why it is not read to its end, if it is not.
    pub fn cut_by(&self) -> Option<ListLimit> {
        self.cut_by
    }

    fn begin(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end)
    }

    /// Adds an item.
    ///
    /// # Errors
    /// There is no room for it.
    fn push(&mut self, item: &[u8]) -> Result<(), ListLimit> {
        if self.ends.len() >= ITEMS_MAX {
            return Err(ListLimit::Items);
        }
        if self.text.len() + item.len() > BYTES_MAX {
            return Err(ListLimit::Bytes);
        }
        write_without_breaks(&mut self.text, item);
        self.ends.push(self.text.len());
        Ok(())
    }
}

/// A list that is being read.
#[derive(Debug, Default)]
pub(super) struct ListReading {
    list: ItemList,
    /// The cursors that were followed, as the child wrote them.
    cursors: Vec<Box<[u8]>>,
}

impl ListReading {
    /// Takes the result of the next page. The cursor of the page to ask for then, as it is written; `None` when the
    /// list is read.
    pub(super) fn add(&mut self, name: ListName, result: &[u8]) -> Option<&[u8]> {
        let mut cursor = None;
        for member in members(result) {
            let value = member.value.of(result);
            match &*member.name(result) {
                found if found == name.member() => self.add_items(value),
                "nextCursor" if value.first() == Some(&b'"') => cursor = Some(value),
                _ => {}
            }
        }
        let cursor = cursor?;
        if self.cursors.iter().any(|known| **known == *cursor) {
            self.list.cut_by.get_or_insert(ListLimit::Circle);
        }
        if self.cursors.len() + 1 >= PAGES_MAX {
            self.list.cut_by.get_or_insert(ListLimit::Pages);
        }
        if self.list.cut_by.is_some() {
            return None;
        }
        self.cursors.push(cursor.into());
        self.cursors.last().map(|cursor| &**cursor)
    }

    /// The child has refused the next page.
    pub(super) fn refuse(&mut self) {
        self.list.is_unread = true;
    }

    pub(super) fn into_list(self) -> ItemList {
        self.list
    }

    fn add_items(&mut self, array: &[u8]) {
        if array.first() != Some(&b'[') {
            return;
        }
        for span in element_spans(array) {
            let item = array.get(span).unwrap_or_default();
            // Nothing but objects is listed.
            if item.first() == Some(&b'{')
                && let Err(limit) = self.list.push(item)
            {
                self.list.cut_by = Some(limit);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pages: &[&str]) -> (ItemList, usize) {
        let mut reading = ListReading::default();
        let mut asked = 1;
        for page in pages {
            if reading.add(ListName::Tools, page.as_bytes()).is_none() {
                break;
            }
            asked += 1;
        }
        (reading.into_list(), asked)
    }

    fn written(list: &ItemList) -> String {
        let items: Vec<&[u8]> = (0..list.len()).filter_map(|index| list.item(index)).collect();
        String::from_utf8(items.join(&b',')).unwrap()
    }

    #[test]
    fn pages_are_put_together_as_they_were_written() {
        let (list, asked) = read(&[
            r#"{"nextCursor":"a\n","tools":[ {"name":"x","n":1.10} , {"name" : "y"}],"other":[{}]}"#,
            r#"{"tools":[{"name":"z","e":1e400}]}"#,
        ]);
        assert_eq!(
            written(&list),
            r#"{"name":"x","n":1.10},{"name" : "y"},{"name":"z","e":1e400}"#
        );
        assert_eq!((list.len(), asked, list.cut_by), (3, 2, None));
        assert_eq!(list.item(1), Some(&br#"{"name" : "y"}"#[..]));
        assert_eq!(list.item(3), None);
    }

    #[test]
    fn what_is_no_list_is_empty() {
        for page in [
            r#"{"tools":{}}"#,
            "{}",
            "[]",
            "7",
            r#"{"tools":[1,"a",[{}]]}"#,
            r#"{"nextCursor":7}"#,
        ] {
            let (list, asked) = read(&[page]);
            assert_eq!((list.len(), asked, list.cut_by), (0, 1, None), "{page}");
        }
    }

    #[test]
    fn a_list_without_end_ends() {
        let page = |cursor: usize| format!(r#"{{"tools":[{{}}],"nextCursor":"{cursor}"}}"#);
        let pages: Vec<String> = (0..100).map(page).collect();
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let (list, asked) = read(&pages);
        assert_eq!((list.len(), asked, list.cut_by), (64, 64, Some(ListLimit::Pages)));
        // In a circle.
        let (list, asked) = read(&[pages[0], pages[1], pages[0], pages[1]]);
        assert_eq!((list.len(), asked, list.cut_by), (3, 3, Some(ListLimit::Circle)));
    }

    #[test]
    fn a_large_list_is_cut() {
        let items = vec!["{}"; 6_000].join(",");
        let page = format!(r#"{{"tools":[{items}],"nextCursor":"1"}}"#);
        let (list, asked) = read(&[&page, &page.replace("\"1\"", "\"2\"")]);
        assert_eq!(
            (list.len(), asked, list.cut_by),
            (ITEMS_MAX, 2, Some(ListLimit::Items))
        );
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(3 << 20));
        let (list, _) = read(&[&format!(r#"{{"tools":[{large},{large},{large}]}}"#)]);
        assert_eq!((list.len(), list.cut_by), (2, Some(ListLimit::Bytes)));
    }

    #[test]
    fn items_have_no_line_breaks() {
        let (list, _) = read(&["{\"tools\":[{\"a\":\r1}]}"]);
        assert_eq!(written(&list), "{\"a\": 1}");
    }
}
