//! Spans as OTLP writes them in JSON: the mapping of proto3, but identities as
//! hexadecimal digits and kinds as numbers
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use serde_json::{Value, json};
use sluice_core::{Attribute, Span, SpanKind};

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The body of a request, with spans of this `warehouse`.
pub(super) fn body(warehouse: &str, spans: &[Span]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "resourceSpans": [{
            "resource": {
                "attributes": [
                    text("service.name", "sluice"),
                    text("service.version", version),
                    text("sluice.warehouse", warehouse),
                ],
            },
            "scopeSpans": [{
                "scope": { "name": "sluice", "version": version },
                "spans": spans.iter().map(span_json).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span_json(span: &Span) -> Value {
    let attributes = span.attributes.iter();
    let mut value = json!({
        "traceId": hex(&span.context.trace_id),
        "spanId": hex(&span.context.span_id),
        "name": span.name,
        "kind": match span.kind {
            SpanKind::Internal => INTERNAL,
            SpanKind::Server => SERVER,
        },
        "startTimeUnixNano": nanoseconds(span.start_us),
        "endTimeUnixNano": nanoseconds(span.end_us),
        "attributes": attributes.map(attribute_json).collect::<Vec<_>>(),
    });
    if let Some(parent) = span.parent {
        value["parentSpanId"] = hex(&parent).into();
    }
    if span.is_error {
        value["status"] = json!({ "code": ERROR });
    }
    value
}

fn attribute_json((key, value): &(&'static str, Attribute)) -> Value {
    match value {
        Attribute::Text(value) => text(key, value),
        // Whole numbers of 64 bits are texts there.
        Attribute::Number(value) => {
            json!({ "key": key, "value": { "intValue": value.to_string() } })
        }
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Of a number that has no sign there.
fn nanoseconds(time_us: i64) -> String {
    let time_us = u64::try_from(time_us).unwrap_or(0);
    time_us.saturating_mul(1_000).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use sluice_core::SpanContext;

    use super::*;

    #[test]
    fn spans_are_written_as_otlp_says() {
        let mut span = Span {
            context: SpanContext {
                trace_id: [0x0a; 16],
                span_id: [0xb1; 8],
                is_sampled: true,
            },
            parent: Some([2; 8]),
            name: "GET /metrics".into(),
            kind: SpanKind::Server,
            start_us: 1_700_000_000_000_001,
            end_us: 1_700_000_000_000_002,
            attributes: vec![
                ("http.route", "/metrics".into()),
                ("http.response.status_code", 500_u64.into()),
            ],
            is_error: true,
        };
        let found = body("shop", std::slice::from_ref(&span));
        let resource = &found["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][2],
            json!({ "key": "sluice.warehouse", "value": { "stringValue": "shop" } })
        );
        assert_eq!(
            resource["scopeSpans"][0]["spans"],
            json!([{
                "traceId": "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
                "spanId": "b1b1b1b1b1b1b1b1",
                "parentSpanId": "0202020202020202",
                "name": "GET /metrics",
                "kind": 2,
                "startTimeUnixNano": "1700000000000001000",
                "endTimeUnixNano": "1700000000000002000",
                "attributes": [
                    { "key": "http.route", "value": { "stringValue": "/metrics" } },
                    { "key": "http.response.status_code", "value": { "intValue": "500" } },
                ],
                "status": { "code": 2 },
            }])
        );
        span.parent = None;
        span.is_error = false;
        span.kind = SpanKind::Internal;
        span.start_us = -1;
        let found = body("shop", &[span]);
        let found = &found["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(found["kind"], 1);
        assert_eq!(found["startTimeUnixNano"], "0");
        assert_eq!(
            (found.get("parentSpanId"), found.get("status")),
            (None, None)
        );
    }
}
