//! HTML that cannot be broken out of: markup is literals of this program, and everything else is text.

/// How pages look.
const STYLE: &str = include_str!("style.css");

/// Longer text from elsewhere is cut: a name of ten thousand letters is nobody's name.
const TEXT_MAX: usize = 1_000;

/// A cell with more letters than these is broken into lines, so that a table stays as wide as its figures.
const CELL_LINE: usize = 40;

/// A piece of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Html {
        Html::default()
    }

    /// Adds markup. It is a literal, so nothing of anybody else's can be in it.
    pub(crate) fn markup(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Adds text, which stays text. Control characters and those that change the direction of writing are shown as
    /// what they are.
    pub(crate) fn text(&mut self, text: &str) -> &mut Html {
        for (index, character) in text.chars().enumerate() {
            if index == TEXT_MAX {
                self.0.push('…');
                break;
            }
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push(' '),
                character if is_deceptive(character) => {
                    self.0.push_str(&character.escape_unicode().to_string());
                }
                character => self.0.push(character),
            }
        }
        self
    }

    /// Adds a number of a picture. What is no number is none.
    pub(crate) fn number(&mut self, number: f64) -> &mut Html {
        let number = if number.is_finite() { number } else { 0.0 };
        // Tenths of a unit are finer than a screen.
        self.0.push_str(&format!("{:.1}", number.clamp(-1e6, 1e6)));
        self
    }

    /// Adds an element with text in it.
    pub(crate) fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Html {
        self.markup(open).text(text).markup(close)
    }

    /// Adds a paragraph. What stands between backquotes is code, as in a terminal's text.
    pub(crate) fn paragraph(&mut self, text: &str) -> &mut Html {
        if text.matches('`').count() % 2 == 1 {
            return self.element("<p>", text, "</p>\n");
        }
        self.markup("<p>");
        for (index, part) in text.split('`').enumerate() {
            match index % 2 {
                0 => self.text(part),
                _ => self.element("<code>", part, "</code>"),
            };
        }
        self.markup("</p>\n")
    }

    /// Adds a heading of a section.
    pub(crate) fn heading(&mut self, text: &str) -> &mut Html {
        self.element("<h2>", text, "</h2>\n")
    }

    /// Adds another piece.
    pub(crate) fn piece(&mut self, piece: &Html) -> &mut Html {
        self.0.push_str(&piece.0);
        self
    }
}

/// Control characters, and those that turn the direction of what follows.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Rows of numbers below a head. The first cell of a row names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(caption: &str, head: &[&str]) -> Table {
        Table {
            caption: caption.to_owned(),
            head: head.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table in a box of its own, which scrolls if the page is narrower.
    pub(crate) fn html(&self) -> Html {
        let mut html = Html::new();
        html.markup("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"")
            .text(&self.caption)
            .markup("\"><table>");
        html.element("<caption>", &self.caption, "</caption>");
        html.markup("<thead><tr>");
        for (index, name) in self.head.iter().enumerate() {
            let mut cells = self.rows.iter().filter_map(|row| row.get(index));
            if cells.any(|cell| is_long(cell)) {
                html.element("<th scope=\"col\" class=\"long\">", name, "</th>");
            } else {
                html.element("<th scope=\"col\">", name, "</th>");
            }
        }
        html.markup("</tr></thead><tbody>\n");
        for row in &self.rows {
            html.markup("<tr>");
            for (index, cell) in row.iter().enumerate() {
                match (index, is_long(cell)) {
                    (0, false) => html.element("<th scope=\"row\">", cell, "</th>"),
                    (0, true) => html.element("<th scope=\"row\" class=\"long\">", cell, "</th>"),
                    (_, false) => html.element("<td>", cell, "</td>"),
                    (_, true) => html.element("<td class=\"long\">", cell, "</td>"),
                };
            }
            html.markup("</tr>\n");
        }
        html.markup("</tbody></table></div>\n");
        html
    }
}

/// Whether a cell is text to be read rather than a figure.
fn is_long(cell: &str) -> bool {
    cell.chars().nth(CELL_LINE).is_some()
}

/// A whole page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// What it is about, in a line.
    pub(crate) lead: String,
    /// Sections, in their order.
    pub(crate) sections: Vec<Html>,
    /// What wrote it, and when.
    pub(crate) foot: String,
}

impl Page {
    pub(crate) fn text(&self) -> String {
        let mut html = Html::new();
        html.markup(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n",
        );
        html.element("<title>", &self.title, "</title>\n");
        html.markup("<style>")
            .markup(STYLE)
            .markup("</style>\n</head>\n<body>\n<header>\n");
        html.element("<h1>", &self.title, "</h1>\n");
        html.element("<p class=\"lead\">", &self.lead, "</p>\n");
        html.markup("</header>\n<main>\n");
        for section in &self.sections {
            html.markup("<section>\n").piece(section).markup("</section>\n");
        }
        html.markup("</main>\n");
        html.element("<footer><p>", &self.foot, "</p></footer>\n");
        html.markup("</body>\n</html>\n");
        html.0
    }
}

#[cfg(test)]
impl Html {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_backquotes_are_code() {
        let of = |text| Html::new().paragraph(text).as_str().to_owned();
        assert_eq!(
            of("ask `weir <tune>` first"),
            "<p>ask <code>weir &lt;tune&gt;</code> first</p>\n"
        );
        assert_eq!(of("a ` alone"), "<p>a ` alone</p>\n");
    }

    /// What somebody could call a tool.
    const HOSTILE: [&str; 7] = [
        "</title><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "<!-- -->",
        "]]>&lt;&#60;",
        "a\u{1b}[2J\u{0}\u{202e}gnp.exe\r\n",
        "</style></svg></table>",
    ];

    #[test]
    fn nothing_breaks_out_of_text() {
        for hostile in HOSTILE {
            let mut table = Table::new(hostile, &[hostile]);
            table.row(vec![hostile.to_owned(), hostile.to_owned()]);
            let page = Page {
                title: hostile.to_owned(),
                lead: hostile.to_owned(),
                sections: vec![table.html()],
                foot: hostile.to_owned(),
            }
            .text();
            let harmless = Page {
                title: "x".to_owned(),
                lead: "x".to_owned(),
                sections: vec![{
                    let mut table = Table::new("x", &["x"]);
                    table.row(vec!["x".to_owned(), "x".to_owned()]);
                    table.html()
                }],
                foot: "x".to_owned(),
            }
            .text();
            // There is as much markup as without it.
            for mark in ['<', '>', '"'] {
                let count = |text: &str| text.matches(mark).count();
                assert_eq!(count(&page), count(&harmless), "{hostile:?} {mark}");
            }
            assert!(
                !page.contains(['\u{1b}', '\u{0}', '\u{202e}', '\r']),
                "{hostile:?}"
            );
        }
    }

    #[test]
    fn long_cells_are_broken_into_lines() {
        let mut table = Table::new("x", &["x", "y"]);
        let long = "e".repeat(CELL_LINE + 1);
        table.row(vec![long.clone(), "e".repeat(CELL_LINE)]);
        table.row(vec!["x".to_owned(), "e".repeat(10_000)]);
        let html = table.html();
        assert_eq!(html.as_str().matches("<td class=\"long\"").count(), 1);
        assert_eq!(
            html.as_str().matches("<th scope=\"col\" class=\"long\"").count(),
            2
        );
        assert!(html.as_str().contains(&format!("class=\"long\">{long}</th>")));
        assert!(html.as_str().contains("e…</td>"));
    }

    #[test]
    fn long_text_is_cut_and_numbers_are_numbers() {
        let mut html = Html::new();
        html.text(&"ä".repeat(10_000));
        assert_eq!(html.as_str().chars().count(), TEXT_MAX + 1);
        let mut html = Html::new();
        html.number(f64::NAN)
            .markup(" ")
            .number(f64::INFINITY)
            .markup(" ")
            .number(1.25);
        assert_eq!(html.as_str(), "0.0 0.0 1.2");
    }
}
