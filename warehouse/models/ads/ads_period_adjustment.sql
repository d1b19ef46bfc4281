-- Grain: closed business day × metric that changed since. Key: day, metric. A query
-- view.
-- Inputs: ads_period_closed, ads_report_figure.
--
-- Corrections after a close, beside what was reported: reported, current, and
-- adjustment = current - reported, which belongs to the open period. A closed
-- day that has no rows here stands as it was reported.
CREATE VIEW ads_period_adjustment AS
SELECT
  c.day,
  c.metric,
  c.version,
  c.closed_at,
  c.value AS reported,
  coalesce(f.value, 0) AS current,
  coalesce(f.value, 0) - c.value AS adjustment
FROM ads_period_closed AS c
LEFT JOIN ads_report_figure AS f ON f.day = c.day AND f.metric = c.metric
WHERE coalesce(f.value, 0) <> c.value
