-- Grain: business day × step of the way to a payment. Key: day, step. A query
-- view.
-- Inputs: page_log.
--
-- step: 1 home, 2 good_detail, 3 cart, 4 trade, 5 payment. open_uv: devices that
-- saw the page that day. closed_uv: devices that saw it after the step before, on
-- the same day; only this one never grows from step to step.
CREATE VIEW ads_funnel_day AS
WITH views AS (
  SELECT mid, ts, page_id, CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day
  FROM page_log
  WHERE page_id IN ('home', 'good_detail', 'cart', 'trade', 'payment') AND NOT is_bot
), step1 AS (
  SELECT day, mid, min(ts) AS ts FROM views WHERE page_id = 'home' GROUP BY day, mid
), step2 AS (
  SELECT v.day, v.mid, min(v.ts) AS ts FROM step1 AS s
  JOIN views AS v ON v.day = s.day AND v.mid = s.mid AND v.page_id = 'good_detail' AND v.ts > s.ts
  GROUP BY v.day, v.mid
), step3 AS (
  SELECT v.day, v.mid, min(v.ts) AS ts FROM step2 AS s
  JOIN views AS v ON v.day = s.day AND v.mid = s.mid AND v.page_id = 'cart' AND v.ts > s.ts
  GROUP BY v.day, v.mid
), step4 AS (
  SELECT v.day, v.mid, min(v.ts) AS ts FROM step3 AS s
  JOIN views AS v ON v.day = s.day AND v.mid = s.mid AND v.page_id = 'trade' AND v.ts > s.ts
  GROUP BY v.day, v.mid
), step5 AS (
  SELECT v.day, v.mid, min(v.ts) AS ts FROM step4 AS s
  JOIN views AS v ON v.day = s.day AND v.mid = s.mid AND v.page_id = 'payment' AND v.ts > s.ts
  GROUP BY v.day, v.mid
), closed AS (
  SELECT day, 1 AS step, count(*) AS uv FROM step1 GROUP BY day
  UNION ALL SELECT day, 2, count(*) FROM step2 GROUP BY day
  UNION ALL SELECT day, 3, count(*) FROM step3 GROUP BY day
  UNION ALL SELECT day, 4, count(*) FROM step4 GROUP BY day
  UNION ALL SELECT day, 5, count(*) FROM step5 GROUP BY day
), opened AS (
  SELECT day, page_id,
    CASE page_id WHEN 'home' THEN 1 WHEN 'good_detail' THEN 2 WHEN 'cart' THEN 3 WHEN 'trade' THEN 4 ELSE 5 END AS step,
    count(DISTINCT mid) AS uv
  FROM views
  GROUP BY day, page_id
)
SELECT o.day, o.step, o.page_id, o.uv AS open_uv, coalesce(c.uv, 0) AS closed_uv
FROM opened AS o
LEFT JOIN closed AS c ON c.day = o.day AND c.step = o.step
