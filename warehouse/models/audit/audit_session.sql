-- Must be empty: one row when the sessions do not hold exactly the page views of
-- the log, or when a session ends before it begins. A query view.
-- Inputs: dwd_traffic_session, page_log.
CREATE VIEW audit_session AS
SELECT s.pages, p.pages AS pages_of_log, s.inverted
FROM (
  SELECT coalesce(sum(pages), 0) AS pages, count(*) FILTER (WHERE last_time < first_time) AS inverted
  FROM dwd_traffic_session
) AS s
CROSS JOIN (SELECT count(*) AS pages FROM page_log WHERE NOT is_bot) AS p
WHERE s.pages <> p.pages OR s.inverted > 0
