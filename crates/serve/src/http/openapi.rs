//! `GET /api/v1/openapi.json`: the data API as OpenAPI 3.1 describes it, made
//! from the panels.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use datafusion::common::ScalarValue;
use serde_json::{Map, Value, json};

use super::HttpState;
use super::panels::NULL_NAME;
use crate::panels::{CheckedPanel, Parameter, ParameterType, Part, text_of_value};

pub(super) async fn openapi(State(state): State<Arc<HttpState>>) -> Response {
    let panels = state.panels.read().clone();
    let mut paths = Map::new();
    paths.insert(
        "/api/v1/panels".to_owned(),
        json!({ "get": {
            "operationId": "listPanels",
            "summary": "All panels with their parameters and columns",
            "tags": ["panels"],
            "responses": { "200": {
                "description": "The panels",
                "content": { "application/json": { "schema": { "type": "object" } } },
            } },
        } }),
    );
    paths.insert("/api/v1/sql".to_owned(), sql_path());
    for panel in panels.sorted() {
        let name = &panel.panel.name;
        paths.insert(
            format!("/api/v1/panels/{name}"),
            panel_path(&panel, Part::Figures),
        );
        if panel.detail.is_some() {
            paths.insert(
                format!("/api/v1/panels/{name}/detail"),
                panel_path(&panel, Part::Detail),
            );
        }
        if state.info.sugar_token.is_some() {
            paths.insert(format!("/api/v1/sugar/{name}"), sugar_path(&panel));
        }
    }
    let body = json!({
        "openapi": "3.1.0",
        "info": {
            "title": state.info.name,
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The panels of this warehouse. Decimals, and integers beyond 2^53, are strings.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": { "Problem": {
                "type": "object",
                "description": "RFC 9457",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": { "type": "string" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "detail": { "type": "string" },
                    "role_needed": {
                        "type": "string",
                        "description": "The least role that is answered, where another one would be",
                    },
                },
            } },
            "responses": { "Problem": {
                "description": "What was wrong",
                "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" },
                } },
            } },
            "securitySchemes": { "sugarToken": {
                "type": "apiKey", "in": "header", "name": "Sugar-Token",
            } },
        },
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, format!("{body}\n")).into_response()
}

fn sql_path() -> Value {
    json!({ "post": {
        "operationId": "sql",
        "summary": "One statement that reads",
        "tags": ["sql"],
        "parameters": [format_parameter()],
        "requestBody": { "required": true, "content": {
            "text/plain": { "schema": { "type": "string" } },
            "application/json": { "schema": {
                "type": "object",
                "required": ["sql"],
                "properties": { "sql": { "type": "string" } },
            } },
        } },
        "responses": {
            "200": { "description": "Its rows" },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    } })
}

fn format_parameter() -> Value {
    json!({
        "name": "format", "in": "query", "required": false,
        "schema": { "type": "string", "enum": ["json", "csv", "xlsx", "arrow"], "default": "json" },
    })
}

fn panel_path(panel: &CheckedPanel, part: Part) -> Value {
    let is_detail = part != Part::Figures;
    let definition = &panel.panel;
    let mut parameters: Vec<Value> = definition.parameters.iter().map(parameter).collect();
    parameters.push(format_parameter());
    parameters.push(json!({
        "name": "lang", "in": "query", "required": false,
        "description": "Language of the titles of a workbook",
        "schema": { "type": "string", "enum": ["en", "zh"], "default": "en" },
    }));
    if is_detail {
        let own = |name: &str| definition.parameters.iter().any(|known| known.name == name);
        for column in panel.main.columns.iter().filter(|it| !own(&it.name)) {
            parameters.push(json!({
                "name": column.name, "in": "query", "required": false,
                "description": "Only rows of this value",
                "schema": { "type": "string" },
            }));
        }
        parameters.push(json!({
            "name": NULL_NAME, "in": "query", "required": false,
            "description": "Only rows in which this parameter or column is NULL",
            "schema": { "type": "array", "items": { "type": "string" } },
            "style": "form", "explode": true,
        }));
    }
    let columns = panel.query(part).map_or(&[][..], |query| &query.columns);
    let names: Vec<&str> = columns.iter().map(|column| &column.name[..]).collect();
    let (summary, operation) = match is_detail {
        true => (
            format!("Rows behind: {}", definition.title.en),
            format!("{}_detail", definition.name),
        ),
        false => (definition.title.en.clone(), definition.name.clone()),
    };
    let mut required = vec!["panel", "epoch", "parameters", "columns", "rows"];
    let mut properties = json!({
        "panel": { "const": definition.name },
        "epoch": { "type": "integer" },
        "parameters": { "type": "object" },
        "columns": { "type": "array" },
        "rows": { "type": "array", "items": {
            "type": "array", "minItems": names.len(), "maxItems": names.len(),
        } },
    });
    if let Some(detail) = definition.detail.as_ref().filter(|_| is_detail) {
        required.push("rows_total");
        let limit = detail.limit;
        properties["rows"]["description"] = Value::String(format!(
            "The first {limit} of each kind; the other formats have all"
        ));
        properties["rows_total"] =
            json!({ "type": "integer", "description": "How many there are" });
        properties["rows_total_by_kind"] = json!({
            "type": "object", "additionalProperties": { "type": "integer" },
            "description": "How many there are of each value of counts_for",
        });
    }
    json!({ "get": {
        "operationId": operation,
        "summary": summary,
        "description": definition.description.as_ref().map_or("", |words| &words.en[..]),
        "tags": [definition.subject],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": format!("Rows of {}", names.join(", ")),
                "headers": { "ETag": { "schema": { "type": "string" } } },
                "content": {
                    "application/json": { "schema": {
                        "type": "object",
                        "required": required,
                        "properties": properties,
                    } },
                    "text/csv": { "schema": { "type": "string" } },
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                        "schema": { "type": "string", "contentEncoding": "binary" },
                    },
                },
            },
            "304": { "description": "Nothing has changed since the ETag" },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    } })
}

fn parameter(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        ParameterType::Date => json!({ "type": "string", "format": "date" }),
        ParameterType::Timestamp => json!({ "type": "string", "format": "date-time" }),
        ParameterType::Integer => json!({ "type": "integer", "format": "int64" }),
        ParameterType::Decimal => json!({ "type": "number" }),
        ParameterType::Text => json!({ "type": "string" }),
        ParameterType::Boolean => json!({ "type": "boolean" }),
    };
    // Numbers are numbers here too, where their text is one.
    let written = |value: &ScalarValue| -> Option<Value> {
        let text = text_of_value(value)?;
        let is_number = matches!(
            parameter.kind,
            ParameterType::Integer | ParameterType::Decimal
        );
        Some(match is_number {
            true => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            false => Value::String(text),
        })
    };
    if let Some(schema) = schema.as_object_mut() {
        let bounds = [("minimum", &parameter.min), ("maximum", &parameter.max)];
        for (name, bound) in bounds {
            if let Some(value) = bound.as_ref().and_then(written) {
                schema.insert(name.to_owned(), value);
            }
        }
        if !parameter.values.is_empty() {
            let values: Vec<Value> = parameter.values.iter().filter_map(written).collect();
            schema.insert("enum".to_owned(), Value::Array(values));
        }
    }
    let description = match &parameter.default_text {
        Some(text) => format!("{} (default: {text})", parameter.title.en),
        None => format!("{} (default: all)", parameter.title.en),
    };
    json!({
        "name": parameter.name, "in": "query", "required": false,
        "description": description,
        "schema": schema,
    })
}

fn sugar_path(panel: &CheckedPanel) -> Value {
    let parameters = panel.panel.parameters.iter().map(parameter);
    json!({ "post": {
        "operationId": format!("sugar_{}", panel.panel.name),
        "summary": format!("For Sugar BI: {}", panel.panel.title.en),
        "tags": ["sugar"],
        "security": [{ "sugarToken": [] }],
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": { "200": {
            "description": "status 0 and the data, or another status and a message",
            "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["status", "msg", "data"],
                "properties": { "status": { "type": "integer" }, "msg": { "type": "string" } },
            } } },
        } },
    } })
}
