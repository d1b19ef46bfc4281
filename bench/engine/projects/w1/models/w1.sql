-- Grain: page view that lasted a second or more.
-- Inputs: page_log.
CREATE MATERIALIZED VIEW w1 AS
SELECT ts, user_id, device_id, channel, province, version, is_new, page_id, last_page_id, during_time
FROM page_log
WHERE during_time >= 1000
