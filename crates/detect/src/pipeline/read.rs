//! Pipelines out of YAML.

use std::collections::BTreeMap;

use regex_automata::meta::Regex;

use super::condition::{FieldCondition, Fields, ItemCondition, Operator, RuleCondition};
use super::model::{Case, Gate, Join, Names, Pipeline, Step, Transformation};
use crate::diagnostic::{self, Rejected, Reporter};
use crate::sigma::{self, Expr, Logsource, Selection, texts};
use crate::yaml::{self, Node, Yaml};

/// Steps nest less deeply in any pipeline written by a person.
const MAX_DEPTH: usize = 8;

/// The pipelines of a file. Each mistake is reported; a file with one gives none.
pub(super) fn pipelines(text: &str, reporter: &mut Reporter<'_>) -> Result<Vec<Pipeline>, Rejected> {
    let mut pipelines = Vec::new();
    let mut rejected = None;
    for document in yaml::documents(text) {
        let read = match document.root {
            Ok(root) => pipeline(&root, reporter),
            Err(error) => Err(reporter.report(error.code, error.mark, error.message)),
        };
        match read {
            Ok(pipeline) => pipelines.push(pipeline),
            Err(error) => rejected = Some(error),
        }
    }
    rejected.map_or(Ok(pipelines), Err)
}

fn pipeline(root: &Node, reporter: &mut Reporter<'_>) -> Result<Pipeline, Rejected> {
    let Some(entries) = root.as_map() else {
        return Err(bad(reporter, root, "a pipeline is a map with `transformations`"));
    };
    for (key, node) in entries {
        match key.text.as_str() {
            "name" | "priority" | "vars" | "transformations" | "allowed_backends" => {}
            "postprocessing" | "finalizers" => {
                let is_empty = matches!(&node.value, Yaml::List(items) if items.is_empty());
                if !is_empty {
                    let message =
                        format!("`{}` works on the text of queries, and there are none here", key.text);
                    return Err(reporter.report(&diagnostic::UNSUPPORTED_PIPELINE, key.mark, message));
                }
            }
            other => {
                let message = format!("`{other}` is no part of a pipeline");
                return Err(reporter.report(&diagnostic::BAD_PIPELINE, key.mark, message));
            }
        }
    }
    let priority = match root.get("priority") {
        None => 0,
        Some(node) => match node.text().and_then(|text| text.parse().ok()) {
            Some(priority) => priority,
            None => return Err(bad(reporter, node, "`priority` must be a whole number")),
        },
    };
    let vars = root.get("vars").map(lists).unwrap_or_default();
    let steps = root.get("transformations").map_or(Ok(Vec::new()), |node| steps(node, 0, reporter))?;
    Ok(Pipeline { priority, vars, steps })
}

fn bad(reporter: &mut Reporter<'_>, node: &Node, message: impl Into<String>) -> Rejected {
    reporter.report(&diagnostic::BAD_PIPELINE, node.mark, message)
}

/// A map whose values are texts or lists of texts.
fn lists(node: &Node) -> BTreeMap<String, Vec<String>> {
    let entries = node.as_map().unwrap_or_default();
    entries.iter().map(|(key, node)| (key.text.clone(), texts(Some(node)))).collect()
}

fn steps(node: &Node, depth: usize, reporter: &mut Reporter<'_>) -> Result<Vec<Step>, Rejected> {
    let Yaml::List(nodes) = &node.value else {
        return Err(bad(reporter, node, "transformations are a list"));
    };
    if depth > MAX_DEPTH {
        return Err(bad(reporter, node, format!("transformations nest deeper than {MAX_DEPTH} levels")));
    }
    let mut steps = Vec::new();
    let mut rejected = None;
    for node in nodes {
        match step(node, depth, reporter) {
            Ok(step) => steps.push(step),
            Err(error) => rejected = Some(error),
        }
    }
    rejected.map_or(Ok(steps), Err)
}

fn step(node: &Node, depth: usize, reporter: &mut Reporter<'_>) -> Result<Step, Rejected> {
    let reader = &mut Reader { node, reporter };
    let does = transformation(reader, depth)?;
    let rule = gate(reader, "rule", rule_condition)?;
    let items = gate(reader, "detection_item", item_condition)?;
    let fields = gate(reader, "field_name", field_condition)?;
    let is_placeholder =
        matches!(does, Transformation::ValuePlaceholders(_) | Transformation::WildcardPlaceholders(_));
    let is_late = !items.conditions.is_empty()
        || !rule.conditions.iter().all(RuleCondition::is_about_the_head)
        || !fields
            .conditions
            .iter()
            .all(|condition| matches!(condition, FieldCondition::Include(_) | FieldCondition::Exclude(_)));
    if is_placeholder && is_late {
        let message = "placeholders get their values while a rule is read: only conditions on logsource, tags, attributes and names of fields are possible";
        return Err(reader.reporter.report(&diagnostic::UNSUPPORTED_PIPELINE, node.mark, message));
    }
    Ok(Step { id: reader.text("id"), does, rule, items, fields })
}

struct Reader<'n, 'r, 'a> {
    node: &'n Node,
    reporter: &'r mut Reporter<'a>,
}

impl<'n> Reader<'n, '_, '_> {
    fn text(&self, key: &str) -> Option<String> {
        self.node.get(key).and_then(Node::text).map(str::to_owned)
    }

    fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn list(&self, key: &str) -> Option<Vec<String>> {
        self.node.get(key).map(|node| texts(Some(node)))
    }

    fn needed(&mut self, key: &str) -> Result<&'n Node, Rejected> {
        let node: &'n Node = self.node;
        node.get(key).ok_or_else(|| bad(self.reporter, node, format!("`{key}` is missing here")))
    }

    fn needed_text(&mut self, key: &str) -> Result<String, Rejected> {
        let node = self.needed(key)?;
        match node.text() {
            Some(text) => Ok(text.to_owned()),
            None => Err(bad(self.reporter, node, format!("`{key}` must be text"))),
        }
    }

    fn needed_lists(&mut self, key: &str) -> Result<BTreeMap<String, Vec<String>>, Rejected> {
        let node = self.needed(key)?;
        let map = lists(node);
        if map.is_empty() || map.values().any(Vec::is_empty) {
            return Err(bad(
                self.reporter,
                node,
                format!("`{key}` must be a map to texts or lists of texts"),
            ));
        }
        Ok(map)
    }

    /// Python's flavour is richer; what only backtracking can do is refused. `anchored` is `re.match`.
    fn regex(&mut self, node: &Node, text: &str, anchored: bool) -> Result<Regex, Rejected> {
        let source = if anchored { format!("^(?:{text})") } else { text.to_owned() };
        let config = regex_automata::meta::Config::new().nfa_size_limit(Some(1 << 20));
        Regex::builder().configure(config).build(&source).map_err(|error| {
            let reason = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            let last = reason.lines().last().unwrap_or_default().to_owned();
            self.reporter.report(&diagnostic::BAD_REGEX, node.mark, format!("`{text}`: {last}"))
        })
    }

    fn needed_regex(&mut self, key: &str, anchored: bool) -> Result<Regex, Rejected> {
        let text = self.needed_text(key)?;
        let node = self.needed(key)?;
        self.regex(node, &text, anchored)
    }

    fn logsource(&self) -> Logsource {
        let part = |key: &str| self.text(key).map(|text| text.to_lowercase());
        Logsource { product: part("product"), category: part("category"), service: part("service") }
    }

    fn names(&self) -> Names {
        Names { include: self.list("include"), exclude: self.list("exclude").unwrap_or_default() }
    }
}

/// Transformations that make or need text of a query language, or the network, or code.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("query_expression_placeholders", "it writes an expression of a query language"),
    ("file_placeholders", "give the file as a placeholder file instead"),
    ("http_placeholders", "rules are compiled without the network"),
    ("command_placeholders", "rules run no commands"),
    ("field_name_transform", "it is code in Python"),
    ("extract_fields", "it needs the target's own functions"),
    ("strict_field_mapping_failure", "fields that no mapping names follow the taxonomy here"),
];

fn transformation(reader: &mut Reader<'_, '_, '_>, depth: usize) -> Result<Transformation, Rejected> {
    let kind = reader.needed_text("type")?;
    Ok(match kind.as_str() {
        "field_name_mapping" => Transformation::MapFields(reader.needed_lists("mapping")?),
        "field_name_prefix_mapping" => Transformation::MapPrefixes(reader.needed_lists("mapping")?),
        "field_name_prefix" => Transformation::Prefix(reader.needed_text("prefix")?),
        "field_name_suffix" => Transformation::Suffix(reader.needed_text("suffix")?),
        "drop_detection_item" => Transformation::DropItem,
        "add_condition" => {
            let name = reader.text("name").unwrap_or_else(|| "pipeline".to_owned());
            let node = reader.needed("conditions")?;
            let detection = sigma::read_selection(&name, node, reader.reporter)?;
            let (template, negated) = (reader.flag("template"), reader.flag("negated"));
            Transformation::AddCondition { detection, template, negated }
        }
        "change_logsource" => Transformation::ChangeLogsource(reader.logsource()),
        "replace_string" => Transformation::ReplaceString {
            regex: reader.needed_regex("regex", false)?,
            replacement: reader.needed_text("replacement").or_else(|error| {
                // An empty replacement is null to YAML when it is not quoted.
                reader.node.get("replacement").and_then(Node::as_scalar).map(|s| s.text.clone()).ok_or(error)
            })?,
            skip_special: reader.flag("skip_special"),
        },
        "map_string" => Transformation::MapString(reader.needed_lists("mapping")?),
        "set_value" => Transformation::SetValue(reader.needed_text("value")?),
        "regex" => match reader.text("method").as_deref() {
            None | Some("plain") => Transformation::CaseSensitive,
            _ => Transformation::Nothing,
        },
        "case" => Transformation::Case(match reader.text("method").as_deref() {
            None | Some("lower") => Case::Lower,
            Some("upper") => Case::Upper,
            Some("snake_case") => Case::Snake,
            Some(other) => {
                let message = format!("`{other}` is no case; there are lower, upper and snake_case");
                return Err(bad(reader.reporter, reader.node, message));
            }
        }),
        "hashes_fields" => Transformation::SplitHashes {
            algorithms: reader.list("valid_hash_algos").unwrap_or_default(),
            prefix: reader.text("field_prefix").unwrap_or_default(),
            drop_algorithm: reader.flag("drop_algo_prefix"),
            fields: reader.list("field_to_parse").unwrap_or_else(|| vec!["Hashes".into(), "Hash".into()]),
        },
        "value_placeholders" => Transformation::ValuePlaceholders(reader.names()),
        "wildcard_placeholders" => Transformation::WildcardPlaceholders(reader.names()),
        "set_state" => {
            Transformation::SetState { key: reader.needed_text("key")?, value: reader.needed_text("val")? }
        }
        "set_custom_attribute" => Transformation::SetAttribute {
            key: reader.needed_text("attribute")?,
            value: reader.needed_text("value")?,
        },
        "rule_failure" => Transformation::RefuseRule(reader.needed_text("message")?),
        "detection_item_failure" => Transformation::RefuseItem(reader.needed_text("message")?),
        "nest" => Transformation::Nest(steps(reader.needed("items")?, depth + 1, reader.reporter)?),
        // Numbers and texts are equal when they are written alike; the list of fields only concerns what is shown.
        "convert_type" | "add_field" | "remove_field" | "set_field" => Transformation::Nothing,
        other => {
            let unsupported = UNSUPPORTED.iter().find(|(name, _)| *name == other);
            let node = reader.needed("type")?;
            return Err(match unsupported {
                Some((_, why)) => {
                    let message = format!("`{other}` cannot be used here: {why}");
                    reader.reporter.report(&diagnostic::UNSUPPORTED_PIPELINE, node.mark, message)
                }
                None => bad(reader.reporter, node, format!("`{other}` is no transformation")),
            });
        }
    })
}

/// Reads the conditions of one kind: a list joined by `…_cond_op`, or a map joined by `…_cond_expr`.
fn gate<C>(
    reader: &mut Reader<'_, '_, '_>,
    kind: &str,
    read: fn(&mut Reader<'_, '_, '_>) -> Result<C, Rejected>,
) -> Result<Gate<C>, Rejected> {
    let negated = reader.flag(&format!("{kind}_cond_not"));
    let mut conditions = Vec::new();
    let mut names = Vec::new();
    if let Some(node) = reader.node.get(&format!("{kind}_conditions")) {
        let nodes: Vec<(&str, &Node)> = match &node.value {
            Yaml::List(nodes) => nodes.iter().map(|node| ("", node)).collect(),
            Yaml::Map(entries) => entries.iter().map(|(key, node)| (key.text.as_str(), node)).collect(),
            Yaml::Scalar(_) => return Err(bad(reader.reporter, node, "conditions are a list or a map")),
        };
        for (index, (name, node)) in nodes.into_iter().enumerate() {
            conditions.push(read(&mut Reader { node, reporter: reader.reporter })?);
            names.push(Selection { name: name.into(), mark: node.mark, expr: Expr::Item(index) });
        }
    }
    let join = match (reader.node.get(&format!("{kind}_cond_expr")), reader.text(&format!("{kind}_cond_op")))
    {
        (Some(node), _) => Join::Expression(sigma::read_condition(node, &names, reader.reporter)?),
        (None, Some(op)) if op == "or" => Join::Any,
        (None, Some(op)) if op != "and" => {
            let message = format!("`{kind}_cond_op` is `and` or `or`, not `{op}`");
            return Err(bad(reader.reporter, reader.node, message));
        }
        _ => Join::All,
    };
    Ok(Gate { conditions, join, negated })
}

fn unknown<C>(reader: &mut Reader<'_, '_, '_>, kind: &str) -> Result<C, Rejected> {
    Err(bad(reader.reporter, reader.node, format!("`{kind}` is no condition of this kind")))
}

fn rule_condition(reader: &mut Reader<'_, '_, '_>) -> Result<RuleCondition, Rejected> {
    let kind = reader.needed_text("type")?;
    Ok(match kind.as_str() {
        "logsource" => RuleCondition::Logsource(reader.logsource()),
        "contains_field" => RuleCondition::ContainsField(reader.needed_text("field")?),
        "contains_detection_item" => RuleCondition::ContainsItem {
            field: reader.needed_text("field")?,
            value: reader.needed_text("value")?,
        },
        "processing_item_applied" => RuleCondition::Applied(reader.needed_text("processing_item_id")?),
        "processing_state" => {
            RuleCondition::State { key: reader.needed_text("key")?, value: reader.needed_text("val")? }
        }
        "is_sigma_rule" => RuleCondition::IsRule(true),
        "is_sigma_correlation_rule" => RuleCondition::IsRule(false),
        "tag" => RuleCondition::Tag(reader.needed_text("tag")?),
        "rule_attribute" => RuleCondition::Attribute {
            name: reader.needed_text("attribute")?,
            value: reader.needed_text("value")?,
            operator: match reader.text("op").as_deref() {
                None | Some("eq") => Operator::Equal,
                Some("ne") => Operator::NotEqual,
                Some("gte") => Operator::GreaterOrEqual,
                Some("gt") => Operator::Greater,
                Some("lte") => Operator::LessOrEqual,
                Some("lt") => Operator::Less,
                Some("in") => Operator::In,
                Some("not_in") => Operator::NotIn,
                Some(other) => {
                    let message = format!("`{other}` is no comparison of attributes");
                    return Err(bad(reader.reporter, reader.node, message));
                }
            },
        },
        other => return unknown(reader, other),
    })
}

fn item_condition(reader: &mut Reader<'_, '_, '_>) -> Result<ItemCondition, Rejected> {
    let kind = reader.needed_text("type")?;
    let all = reader.text("cond").as_deref() == Some("all");
    Ok(match kind.as_str() {
        "match_string" => ItemCondition::MatchString {
            regex: reader.needed_regex("pattern", true)?,
            negated: reader.flag("negate"),
            all,
        },
        "match_value" => ItemCondition::MatchValue { value: reader.needed_text("value")?, all },
        "contains_wildcard" => ItemCondition::ContainsWildcard { all },
        "is_null" => ItemCondition::IsNull { all },
        "processing_item_applied" => ItemCondition::Applied(reader.needed_text("processing_item_id")?),
        "processing_state" => {
            ItemCondition::State { key: reader.needed_text("key")?, value: reader.needed_text("val")? }
        }
        other => return unknown(reader, other),
    })
}

fn field_condition(reader: &mut Reader<'_, '_, '_>) -> Result<FieldCondition, Rejected> {
    let kind = reader.needed_text("type")?;
    Ok(match kind.as_str() {
        "include_fields" => FieldCondition::Include(fields(reader)?),
        "exclude_fields" => FieldCondition::Exclude(fields(reader)?),
        "processing_item_applied" => FieldCondition::Applied(reader.needed_text("processing_item_id")?),
        "processing_state" => {
            FieldCondition::State { key: reader.needed_text("key")?, value: reader.needed_text("val")? }
        }
        other => return unknown(reader, other),
    })
}

fn fields(reader: &mut Reader<'_, '_, '_>) -> Result<Fields, Rejected> {
    let node = reader.needed("fields")?;
    let names = texts(Some(node));
    match reader.text("mode").as_deref() {
        None | Some("plain") => Ok(Fields::Plain(names)),
        Some("re") => {
            let regexes =
                names.iter().map(|name| reader.regex(node, name, true)).collect::<Result<_, _>>()?;
            Ok(Fields::Regexes(regexes))
        }
        Some(other) => {
            Err(bad(reader.reporter, reader.node, format!("`{other}` is no mode; there are plain and re")))
        }
    }
}
