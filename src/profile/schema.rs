//! The JSON Schema (draft 2020-12) of profiles, for editors: completion and hints for checks, parameters and measurements.
//!
//! It describes one file as written; what a file inherits it need not write, so little is required. `resolve` has the last
//! word.

use serde_json::{Map, Value, json};

use super::decode::SCHEMA;
use super::limits::NONE;
use super::stage::{CAPABILITIES, POLICIES};
use super::{Catalogue, CheckSpec, FACTS, MeasurementSpec, ParamKind, ParamSpec, Skus, ValueKind};
use kiln_model::{ComponentKind, Sensor, SensorKind};

/// The schema with the checks and models there are.
pub fn json_schema(catalogue: Catalogue, skus: &Skus) -> Value {
    let ids: Vec<&str> = skus.0.iter().map(|sku| sku.id.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Kiln profile",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "id", "revision", "title"],
        "properties": {
            "schema": { "const": SCHEMA },
            "id": { "$ref": "#/$defs/id" },
            "revision": { "type": "integer", "minimum": 0 },
            "title": { "$ref": "#/$defs/text" },
            "extends": {
                "type": "string",
                "description": "One parent: the name of a built-in profile, or a path from this file (`./base.yaml`)."
            },
            "skus": {
                "type": "array", "minItems": 1, "uniqueItems": true, "items": { "enum": ids },
                "description": "GPU models this profile is for; any other GPU is refused."
            },
            "vars": {
                "type": "object",
                "description": "Values that `${name}` stands for; `--set name=value` changes them and is recorded.",
                "additionalProperties": {
                    "anyOf": [
                        { "type": ["string", "number", "boolean"] },
                        {
                            "type": "object", "additionalProperties": false, "required": ["value"],
                            "properties": {
                                "value": { "type": ["string", "number", "boolean"] },
                                "min": {
                                    "type": ["string", "number"],
                                    "description": "The least value with which the profile keeps its promise; less makes a deviating run."
                                }
                            }
                        }
                    ]
                }
            },
            "stock": {
                "type": "boolean",
                "description": "Whether these are stages to choose from: a child that writes `stages` gets those that it writes, and no other."
            },
            "without": {
                "type": "array", "items": { "type": "string" }, "examples": [["rest", "load.march", "teardown.config"]],
                "description": "Stages and steps of the parent that this profile leaves out; nothing else removes one, unless the parent is a stock."
            },
            "telemetry": {
                "type": "object", "additionalProperties": false,
                "properties": { "every": { "$ref": "#/$defs/span" } }
            },
            "guards": { "type": "array", "items": { "$ref": "#/$defs/guard" } },
            "stages": { "type": "array", "items": { "anyOf": [{ "$ref": "#/$defs/stage" }, { "$ref": "#/$defs/id" }] } },
            "teardown": { "$ref": "#/$defs/steps" },
            "waivers": { "type": "array", "items": { "$ref": "#/$defs/waiver" } }
        },
        "$defs": definitions(catalogue)
    })
}

fn definitions(catalogue: Catalogue) -> Value {
    let checks: Vec<Value> = catalogue.0.iter().map(|spec| check(spec)).collect();
    json!({
        "id": { "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$" },
        "variable": { "type": "string", "pattern": "^\\$\\{[a-z][a-z0-9-]*\\}$" },
        "span": { "type": "string", "examples": ["90s", "30m", "1h 30m", "72h", "${soak}"] },
        "code": { "type": "string", "pattern": "^[A-Z][A-Z0-9-]*[A-Z0-9]$", "examples": ["GPU-OVERTEMP"] },
        "text": {
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object", "additionalProperties": false, "required": ["en"],
                    "properties": { "en": { "type": "string" }, "ja": { "type": "string" } }
                }
            ]
        },
        "then": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "fail": words(POLICIES), "error": words(POLICIES), "inconclusive": words(POLICIES)
            }
        },
        "requires": {
            "anyOf": [
                words(CAPABILITIES),
                { "type": "array", "items": words(CAPABILITIES) },
                {
                    "type": "object",
                    "propertyNames": words(CAPABILITIES),
                    "additionalProperties": { "enum": ["error", "skip"] }
                }
            ]
        },
        "bound": bound("A limit, a range, a list or a pattern."),
        "guard": guard(),
        "stage": stage(),
        "steps": { "type": "array", "items": { "anyOf": [{ "$ref": "#/$defs/step" }, { "$ref": "#/$defs/id" }] } },
        "step": step(catalogue, &checks),
        "waiver": {
            "type": "object", "additionalProperties": false, "required": ["match", "until", "by", "reason"],
            "properties": {
                "match": { "type": "string", "examples": ["burn.gemm[gpu/3].thermal.resistance", "burn.gemm[*].*"] },
                "until": { "type": "string", "format": "date" },
                "by": { "type": "string" },
                "reason": { "type": "string" }
            }
        }
    })
}

fn words<T>(words: &[(&str, T)]) -> Value {
    json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/variable" }] })
}

fn bound(description: &str) -> Value {
    let facts: Vec<String> = FACTS.iter().map(|fact| format!(">= 95 % of sku.{}", fact.name)).collect();
    let mut examples =
        vec!["<= 87 °C", "450..520 GB/s", "480 GB/s ±5 %", "== 0", "in [a, b]", "~ ^96", "<= peers + 5 K"];
    examples.extend([">= 97 % of peers", ">= 97 % of baseline", "<= 125 % of first"]);
    examples.extend(facts.iter().map(String::as_str));
    json!({ "type": "string", "description": description, "examples": examples })
}

fn guard() -> Value {
    let gauges: Map<String, Value> = Sensor::ALL
        .iter()
        .filter(|sensor| sensor.kind() != SensorKind::Bits)
        .map(|sensor| (sensor.name().to_owned(), bound(&format!("in {}", sensor.unit()))))
        .collect();
    json!({
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
            "id": { "$ref": "#/$defs/id" },
            "off": { "type": "boolean", "description": "Removes an inherited guard." },
            "each": { "enum": ["gpu", "node"], "default": "gpu" },
            "trip": {
                "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
                "properties": gauges
            },
            "on": { "enum": ["gpu.lost", "xid"] },
            "hold": { "$ref": "#/$defs/span" },
            "clear": { "$ref": "#/$defs/bound" },
            "stale": { "$ref": "#/$defs/span" },
            "unsupported": {
                "enum": ["error", "skip"], "default": "error",
                "description": "skip: a part without the sensor is not watched; error: it counts as one that gives no reading."
            },
            "stop": { "enum": ["step", "stage", "run"], "default": "run" },
            "result": { "enum": ["fail", "inconclusive"], "default": "fail" },
            "code": { "$ref": "#/$defs/code" }
        }
    })
}

fn stage() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
            "id": { "$ref": "#/$defs/id" },
            "title": { "$ref": "#/$defs/text" },
            "then": { "$ref": "#/$defs/then" },
            "loop": {
                "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
                "properties": {
                    "for": { "$ref": "#/$defs/span" },
                    "count": or_variable(&json!({ "type": "integer", "minimum": 1 }))
                }
            },
            "together": { "type": "boolean", "default": false },
            "needs": { "type": "array", "items": { "$ref": "#/$defs/id" } },
            "requires": { "$ref": "#/$defs/requires" },
            "steps": { "$ref": "#/$defs/steps" }
        }
    })
}

fn step(catalogue: Catalogue, checks: &[Value]) -> Value {
    let names: Vec<&str> = catalogue.0.iter().map(|spec| spec.name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "anyOf": [{ "required": ["use"] }, { "required": ["id"] }],
        "properties": {
            "again": {
                "type": "string", "examples": ["identify.inventory"],
                "description": "An earlier step whose check, parameters and limits this one takes over: a second look."
            },
            "use": { "enum": names },
            "id": { "$ref": "#/$defs/id" },
            "title": { "$ref": "#/$defs/text" },
            "each": words(&ComponentKind::WORDS),
            "with": { "type": "object" },
            "limits": { "type": "object" },
            "then": { "$ref": "#/$defs/then" },
            "retry": {
                "type": "object", "additionalProperties": false,
                "properties": {
                    "max": or_variable(&json!({ "type": "integer", "minimum": 0 })),
                    "on": { "type": "array", "items": { "enum": ["error", "inconclusive", "fail"] } },
                    "delay": { "$ref": "#/$defs/span" },
                    "reason": { "type": "string" }
                }
            },
            "timeout": { "$ref": "#/$defs/span" },
            "needs": { "type": "array", "items": { "type": "string" } },
            "requires": { "$ref": "#/$defs/requires" }
        },
        "allOf": checks
    })
}

/// What a step may say once it names this check.
fn check(spec: &CheckSpec) -> Value {
    let params: Map<String, Value> = spec.params.iter().map(|spec| (spec.name.to_owned(), param(spec))).collect();
    let limit_of = |open: bool| -> Map<String, Value> {
        let these = spec.measurements.iter().filter(|measurement| measurement.is_open() == open);
        let limits = these.map(|measurement| {
            let kind = match measurement.kind {
                ValueKind::Number => {
                    format!("{} (in {})", measurement.summary, measurement.unit).replace(" (in 1)", "")
                }
                ValueKind::Text => format!("{} (a text)", measurement.summary),
                ValueKind::Flag => format!("{} (true or false)", measurement.summary),
            };
            let name = measurement.name;
            let key = if open { format!("^{}$", regex::escape(name).replace("\\*", ".+")) } else { name.to_owned() };
            (key, limit(&kind))
        });
        limits.collect()
    };
    let mut limits = json!({ "type": "object", "additionalProperties": false, "properties": limit_of(false) });
    if spec.measurements.iter().any(MeasurementSpec::is_open) {
        // Measurements that a program names.
        limits["patternProperties"] = Value::Object(limit_of(true));
    }
    let each: Vec<&str> = spec.each.iter().map(|kind| kind.word()).collect();
    json!({
        "if": { "properties": { "use": { "const": spec.name } }, "required": ["use"] },
        "then": {
            "description": spec.summary,
            "properties": {
                "each": { "enum": each },
                "with": { "type": "object", "additionalProperties": false, "properties": params },
                "limits": limits,
                "lot": { "type": "array", "items": { "type": "string" } }
            }
        }
    })
}

fn limit(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            { "$ref": "#/$defs/bound" },
            { "const": NONE, "description": "Removes an inherited limit." },
            {
                "type": "object", "additionalProperties": false, "required": ["limit"],
                "properties": {
                    "limit": { "$ref": "#/$defs/bound" },
                    "marginal": { "$ref": "#/$defs/bound" },
                    "code": { "$ref": "#/$defs/code" },
                    "decisive": { "type": "boolean", "default": true },
                    "result": {
                        "enum": ["fail", "inconclusive"], "default": "fail",
                        "description": "What a miss is: proof against the unit, or a suspicion that somebody has to look into."
                    },
                    "unsupported": { "enum": ["error", "skip"], "default": "error" },
                    "with-lot": {
                        "$ref": "#/$defs/bound",
                        "description": "What is asked instead where the run's lot has the value for the part's place: a bound of lot."
                    },
                    "source": { "type": "string" }
                }
            }
        ]
    })
}

fn param(spec: &ParamSpec) -> Value {
    let kind = match spec.kind {
        ParamKind::Span => json!({ "$ref": "#/$defs/span" }),
        ParamKind::Choice(words) => json!({ "enum": words }),
        ParamKind::Quantity { unit, min, max } => {
            json!({ "type": ["string", "number"], "description": format!("in {unit}, from {min} to {max}") })
        }
        ParamKind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ParamKind::Flag => json!({ "type": "boolean" }),
        ParamKind::Text => json!({ "type": ["string", "number", "boolean"] }),
        ParamKind::Localized => json!({ "$ref": "#/$defs/text" }),
        ParamKind::Texts => json!({ "type": "array", "items": { "type": ["string", "number"] } }),
    };
    let mut schema = or_variable(&kind);
    schema["description"] = json!(spec.summary);
    if let Some(default) = spec.default {
        schema["default"] = json!(default);
    }
    schema
}
