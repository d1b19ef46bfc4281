-- Grain: device × business day. Key: day, mid.
-- Inputs: page_log.
--
-- first_page: of the first page view of the day by event time, in one text that
-- compares by time: microseconds, page, channel, app version, area, separated by
-- U+001F. One text, because a group keeps less for it than for five columns.
CREATE MATERIALIZED VIEW dwd_traffic_unique_visitor AS
SELECT
  CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  mid,
  min(concat(CAST(CAST(ts AS BIGINT) AS VARCHAR), chr(31), page_id, chr(31), ch, chr(31), vc, chr(31), ar)) AS first_page
FROM page_log
WHERE NOT is_bot
GROUP BY 1, 2
