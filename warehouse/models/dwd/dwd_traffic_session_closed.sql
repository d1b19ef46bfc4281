-- Grain: session. Key: sid. A query view.
-- Inputs: dwd_traffic_session, page_log.
--
-- is_closed: nothing came for longer than a session may pause, by the newest
-- event time of the log. Only a closed session of one page is finally a bounce.
CREATE VIEW dwd_traffic_session_closed AS
SELECT
  s.*,
  s.last_time < newest.ts - INTERVAL '${session_idle}' AS is_closed
FROM dwd_traffic_session AS s
CROSS JOIN (SELECT max(ts) AS ts FROM page_log) AS newest
