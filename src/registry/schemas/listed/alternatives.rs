//! Alternatives in the shape that most clients accept: `enum` for a choice of strings, `anyOf` of one type each for the
//! rest, and one object at the root.

use serde_json::{Map, Value, json};

use super::merge::{CHOICE, description, merge, words_and_assertions};

/// Rewrites the alternatives of one schema whose parts are simple already.
pub(super) fn simplify(simple: &mut Map<String, Value>) {
    // The difference between exactly one and at least one is checked when a value comes.
    if let Some(one_of) = simple.shift_remove("oneOf") {
        simple.entry("anyOf").or_insert(one_of);
    }
    let Some(Value::Array(given)) = simple.get("anyOf") else {
        return;
    };
    let mut all: Vec<Value> = Vec::new();
    for one in joined_choices(spliced(given)) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.len() == 1 {
        simple.shift_remove("anyOf");
        let merged = merge(all.remove(0), std::mem::take(simple));
        if let Value::Object(merged) = merged {
            *simple = merged;
        }
        return;
    }
    simple.insert("anyOf".to_owned(), Value::Array(all));
    distribute(simple);
}

/// Alternatives of alternatives are alternatives.
fn spliced(given: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for one in given {
        match one.get("anyOf").and_then(Value::as_array) {
            Some(inner)
                if one
                    .as_object()
                    .is_some_and(|one| words_and_assertions(one.clone()).1.len() == 1) =>
            {
                all.extend(inner.iter().cloned());
            }
            _ => all.push(one.clone()),
        }
    }
    all
}

/// All choices of strings become one, which tells what its values mean.
fn joined_choices(all: Vec<Value>) -> Vec<Value> {
    if all.iter().filter(|one| choice(one).is_some()).count() < 2 {
        return all;
    }
    let mut values: Vec<Value> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for (one, own) in all.iter().filter_map(|one| Some((one, choice(one)?))) {
        values.extend(
            own.iter()
                .filter(|value| !values.contains(value))
                .cloned()
                .collect::<Vec<_>>(),
        );
        lines.extend(choice_lines(one, own));
    }
    let mut joined = json!({"type": "string", "enum": values});
    if !lines.is_empty() {
        joined["description"] = json!(lines.join("\n"));
    }
    let mut joined = Some(joined);
    let keep = all.into_iter().filter_map(|one| match choice(&one) {
        Some(_) => joined.take(),
        None => Some(one),
    });
    keep.collect()
}

/// The values of a schema that is a choice of strings, and nothing else.
fn choice(schema: &Value) -> Option<&Vec<Value>> {
    let keywords = schema.as_object()?;
    let is_plain = |keyword: &String| matches!(keyword.as_str(), "type" | "enum" | "description" | "title");
    let is_choice = keywords.keys().all(is_plain) && keywords.get("type")? == "string";
    schema.get("enum")?.as_array().filter(|_| is_choice)
}

/// The descriptions of a choice's values, a line each.
fn choice_lines(schema: &Value, values: &[Value]) -> Vec<String> {
    let words = ["description", "title"]
        .iter()
        .find_map(|name| schema.get(name)?.as_str());
    match (words, values) {
        (Some(words), [value]) if !words.starts_with(CHOICE) => vec![line(value, words)],
        (Some(words), _) => words
            .split('\n')
            .filter(|line| line.starts_with(CHOICE))
            .map(str::to_owned)
            .collect(),
        (None, _) => Vec::new(),
    }
}

fn line(value: &Value, words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    format!(
        "{CHOICE}{}`: {}",
        value.as_str().unwrap_or_default(),
        words.join(" ")
    )
}

/// Puts the keywords beside alternatives into each of them: some clients look only at one or the other.
fn distribute(simple: &mut Map<String, Value>) {
    let (words, mut beside) = words_and_assertions(simple.clone());
    let Some(Value::Array(all)) = beside.shift_remove("anyOf") else {
        return;
    };
    if beside.is_empty() {
        return;
    }
    let is_open = beside.shift_remove("unevaluatedProperties") != Some(json!(false));
    let mut whole = Vec::new();
    for one in all {
        let Value::Object(merged) = merge(Value::Object(beside.clone()), into_object(one)) else {
            return;
        };
        // Alternatives that cannot be merged stay as they are.
        if merged.contains_key("allOf") {
            return;
        }
        let mut merged = merged;
        if !is_open {
            merged.insert("additionalProperties".to_owned(), json!(false));
        }
        whole.push(Value::Object(merged));
    }
    *simple = words;
    simple.insert("anyOf".to_owned(), Value::Array(whole));
}

fn into_object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(keywords) => keywords,
        _ => Map::new(),
    }
}

/// One object with the properties of all alternatives: the large model services refuse alternatives at the root. The
/// description says what goes with what; a mixture is refused when it comes.
pub(super) fn unite(root: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = root.get("anyOf") else {
        return;
    };
    let all: Vec<Map<String, Value>> = all.iter().cloned().map(into_object).collect();
    let is_object = |one: &Map<String, Value>| one.get("type").is_none_or(|kind| kind == "object");
    if !all.iter().all(is_object) {
        return;
    }
    let united = Union { all: &all };
    let tag = united.tag();
    let mut properties = Map::new();
    for name in all
        .iter()
        .flat_map(|one| properties_of(one).map(|(name, _)| name))
    {
        if !properties.contains_key(name) {
            properties.insert(name.clone(), united.property(name, tag));
        }
    }
    let required = united.required();
    let is_closed = all
        .iter()
        .all(|one| one.get("additionalProperties") == Some(&json!(false)));
    let words = united.words(tag);
    root.shift_remove("anyOf");
    root.insert("type".to_owned(), json!("object"));
    if let Some(words) = description(root.get("description").and_then(Value::as_str), words.as_deref()) {
        root.insert("description".to_owned(), json!(words));
    }
    root.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        root.insert("required".to_owned(), json!(required));
    }
    if is_closed {
        root.insert("additionalProperties".to_owned(), json!(false));
    }
}

struct Union<'a> {
    all: &'a [Map<String, Value>],
}

impl Union<'_> {
    /// The property by whose value the alternatives are told apart.
    fn tag(&self) -> Option<&str> {
        let mut names = properties_of(self.all.first()?).map(|(name, _)| name.as_str());
        names.find(|name| {
            let mut seen: Vec<&Value> = Vec::new();
            self.all.iter().all(|one| {
                let values = property_of(one, name).and_then(choice);
                let is_new = values.is_some_and(|values| !values.iter().any(|value| seen.contains(&value)));
                seen.extend(values.into_iter().flatten());
                is_new && requires(one, name)
            })
        })
    }

    fn required(&self) -> Vec<&str> {
        let Some((first, others)) = self.all.split_first() else {
            return Vec::new();
        };
        let is_everywhere = |name: &&str| others.iter().all(|one| requires(one, name));
        required_of(first).filter(is_everywhere).collect()
    }

    /// One property, merged from all alternatives.
    fn property(&self, name: &str, tag: Option<&str>) -> Value {
        let mut schemas: Vec<Value> = Vec::new();
        for one in self.all {
            let Some(schema) = property_of(one, name) else {
                continue;
            };
            let mut schema = schema.clone();
            // An alternative's own description belongs to the value it is chosen by.
            let is_told_apart = match tag {
                Some(tag) => tag == name,
                None => requires(one, name) && self.count(name) == 1,
            };
            if is_told_apart
                && schema.get("description").is_none()
                && let Some(words) = one.get("description")
            {
                schema["description"] = words.clone();
            }
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
        let mut united = Map::from_iter([("anyOf".to_owned(), Value::Array(schemas))]);
        if let Some(Value::Array(all)) = united.get("anyOf")
            && let [only] = &all[..]
            && tag == Some(name)
        {
            return only.clone();
        }
        simplify(&mut united);
        if let Some(tag) = tag.filter(|tag| *tag != name && self.count(name) < self.all.len()) {
            let words = united
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let with = self.tags_with(name, tag);
            let words = format!("{words} Only with `{tag}` {with}.");
            united.insert("description".to_owned(), json!(words.trim_start()));
        }
        Value::Object(united)
    }

    /// The number of alternatives that have it.
    fn count(&self, name: &str) -> usize {
        self.all
            .iter()
            .filter(|one| property_of(one, name).is_some())
            .count()
    }

    fn tags_with(&self, name: &str, tag: &str) -> String {
        let having = self.all.iter().filter(|one| property_of(one, name).is_some());
        let values = having
            .filter_map(|one| property_of(one, tag).and_then(choice))
            .flatten();
        let values: Vec<String> = values
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect();
        values.join(", ")
    }

    /// The text that tells a reader which properties exclude one another.
    fn words(&self, tag: Option<&str>) -> Option<String> {
        if tag.is_some() {
            return None;
        }
        let own = self
            .all
            .iter()
            .map(|one| required_of(one).find(|name| self.count(name) == 1));
        let own: Option<Vec<String>> = own.map(|name| Some(format!("`{}`", name?))).collect();
        Some(format!("Expects one of {}.", own?.join(", ")))
    }
}

fn properties_of(one: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    one.get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn property_of<'a>(one: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    one.get("properties")?.get(name)
}

fn required_of(one: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = one.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

fn requires(one: &Map<String, Value>, name: &str) -> bool {
    required_of(one).any(|required| required == name)
}
