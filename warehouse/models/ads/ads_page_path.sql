-- Grain: business day × step from page to page. Key: day, source, target. A query
-- view.
-- Inputs: page_log.
--
-- path_count: page views of target after source. source: the page before, as the client
-- says; '' is the start of a session that the app named (one that only a long pause begins
-- has the page before it).
CREATE VIEW ads_page_path AS
SELECT CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day, coalesce(last_page_id, '') AS source,
  page_id AS target, count(*) AS path_count
FROM page_log
WHERE NOT is_bot
GROUP BY 1, 2, 3
