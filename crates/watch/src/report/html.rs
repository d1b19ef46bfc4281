//! A report as HTML that mail programs show, and as plain text.

use chrono::NaiveDate;

use super::{Bars, Compared, Language, Report, amount, change};

/// Width of the longest bar, in pixels.
const BAR_WIDTH: f64 = 360.0;

struct Words {
    figure: &'static str,
    day_before: &'static str,
    week_before: &'static str,
    nothing: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::En => Words {
            figure: "Figure",
            day_before: "The day before",
            week_before: "A week before",
            nothing: "nothing on this day",
        },
        Language::Zh => Words {
            figure: "指标",
            day_before: "前一日",
            week_before: "上周同日",
            nothing: "当日无数据",
        },
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn shown(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| amount(value, unit))
}

/// The page. Styles stand at each element, because mail programs drop others.
pub(super) fn page(
    report: &Report,
    warehouse: &str,
    day: NaiveDate,
    figures: &[Compared<'_>],
    charts: &[Bars<'_>],
) -> String {
    let words = words(report.language);
    let language = match report.language {
        Language::En => "en",
        Language::Zh => "zh-CN",
    };
    let mut html = format!(
        "<!DOCTYPE html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{title}</title></head><body style=\"font-family:sans-serif;color:#1f2328;max-width:640px\"><h1 style=\"font-size:20px\">{title}</h1><p style=\"color:#59636e\">{} · {day}</p>",
        escaped(warehouse),
        title = escaped(&report.title),
    );
    if !figures.is_empty() {
        let head = "text-align:right;padding:6px 12px;border-bottom:1px solid #d1d9e0";
        html.push_str(&format!(
            "<table style=\"border-collapse:collapse\"><tr><th style=\"{head};text-align:left\">{}</th><th style=\"{head}\">{day}</th><th style=\"{head}\">{}</th><th style=\"{head}\">{}</th></tr>",
            words.figure, words.day_before, words.week_before
        ));
        for compared in figures {
            html.push_str(&row(compared));
        }
        html.push_str("</table>");
    }
    for bars in charts {
        html.push_str(&chart(bars, &words));
    }
    html.push_str("</body></html>\n");
    html
}

fn row(compared: &Compared<'_>) -> String {
    let cell = "text-align:right;padding:6px 12px;border-bottom:1px solid #eff2f5";
    let unit = &compared.figure.unit;
    let before = |before: Option<f64>| {
        let text = change(compared.value, before);
        let colour = match text.as_ref().map(|text| text.starts_with('-')) {
            Some(true) => "#c6282b",
            Some(false) => "#1a7f37",
            None => "#59636e",
        };
        let share = text.map(|text| format!(" <span style=\"color:{colour}\">{text}</span>"));
        format!(
            "<td style=\"{cell}\">{}{}</td>",
            escaped(&shown(before, unit)),
            share.unwrap_or_default()
        )
    };
    format!(
        "<tr><td style=\"{cell};text-align:left\">{}</td><td style=\"{cell};font-weight:bold\">{}</td>{}{}</tr>",
        escaped(&compared.figure.title),
        escaped(&shown(compared.value, unit)),
        before(compared.day_before),
        before(compared.week_before),
    )
}

fn chart(bars: &Bars<'_>, words: &Words) -> String {
    let mut html = format!(
        "<h2 style=\"font-size:16px;margin-top:24px\">{}</h2>",
        escaped(&bars.chart.title)
    );
    if bars.bars.is_empty() {
        html.push_str(&format!("<p style=\"color:#59636e\">{}</p>", words.nothing));
        return html;
    }
    let largest = bars.bars.iter().map(|(_, value)| value.abs());
    let largest = largest.fold(0.0, f64::max);
    html.push_str("<table style=\"border-collapse:collapse\">");
    for (label, value) in &bars.bars {
        let width = match largest > 0.0 {
            true => (value.abs() / largest * BAR_WIDTH).ceil(),
            false => 0.0,
        };
        let colour = if *value < 0.0 { "#c6282b" } else { "#0969da" };
        html.push_str(&format!(
            "<tr><td style=\"padding:2px 8px 2px 0;white-space:nowrap\">{}</td><td><div style=\"background:{colour};height:14px;width:{width}px\"></div></td><td style=\"padding:2px 8px;text-align:right;white-space:nowrap\">{}</td></tr>",
            escaped(label),
            escaped(&amount(*value, &bars.chart.unit)),
        ));
    }
    html.push_str("</table>");
    html
}

/// The same without HTML.
pub(super) fn plain(
    report: &Report,
    day: NaiveDate,
    figures: &[Compared<'_>],
    charts: &[Bars<'_>],
) -> String {
    let words = words(report.language);
    let mut text = format!("{}: {day}\n\n", report.title);
    for compared in figures {
        let unit = &compared.figure.unit;
        text.push_str(&format!(
            "{}: {}\n",
            compared.figure.title,
            shown(compared.value, unit)
        ));
        for (word, before) in [
            (words.day_before, compared.day_before),
            (words.week_before, compared.week_before),
        ] {
            let share = change(compared.value, before).unwrap_or_default();
            text.push_str(&format!("  {word}: {} {share}\n", shown(before, unit)));
        }
    }
    for bars in charts {
        text.push_str(&format!("\n{}\n", bars.chart.title));
        if bars.bars.is_empty() {
            text.push_str(&format!("  {}\n", words.nothing));
        }
        for (label, value) in &bars.bars {
            text.push_str(&format!(
                "  {label}: {}\n",
                amount(*value, &bars.chart.unit)
            ));
        }
    }
    text
}
