//! The peer: rsigma, with its logsource routing on.

use anyhow::{Result, anyhow};
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::LogSource;
use serde_json::Value as Json;
use wanglou_detect::RuleFile;

use crate::data;

/// Its engine with as many of the rules as it takes.
pub fn engine(files: &[RuleFile]) -> Result<Engine> {
    let mut parsed = Vec::new();
    for file in files {
        parsed.push(rsigma_parser::parse_sigma_yaml(&file.text).map_err(|error| anyhow!("{error}"))?);
    }
    let mut engine = Engine::new();
    for (number, error) in engine.add_rules(parsed.iter().flat_map(|collection| &collection.rules)) {
        eprintln!("# rsigma refuses rule {number}: {error}");
    }
    Ok(engine)
}

/// An event as it takes it, with its logsource.
pub fn event(line: &str) -> Result<(Json, LogSource)> {
    let json: Json = serde_json::from_str(line)?;
    let (product, service, category) = data::tag(&json);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let source = LogSource {
        product: some(product),
        service: some(service),
        category: some(category),
        ..LogSource::default()
    };
    Ok((json, source))
}

/// The ids of the rules that match.
pub fn hits(engine: &Engine, (json, source): &(Json, LogSource)) -> Vec<String> {
    let results = engine.evaluate_with_logsource(&JsonEvent::borrow(json), source);
    results.into_iter().filter_map(|result| result.header.rule_id).collect()
}

/// How many rules match.
pub fn count(engine: &Engine, (json, source): &(Json, LogSource)) -> usize {
    engine.evaluate_with_logsource(&JsonEvent::borrow(json), source).len()
}
