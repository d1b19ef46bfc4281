-- Grain: session. Key: sid.
-- Inputs: page_log, dwd_traffic_page_without_sid.
--
-- day: business day of the session's first page view; page views themselves
-- belong to their own day. pages: page views; seconds: sum of what pages say they lasted.
-- mid, channel, vc, ar, campaign, entry_page: of the first page view; exit_page,
-- last_time: of the last one so far. dwd_traffic_session_closed says which
-- sessions are over.
CREATE MATERIALIZED VIEW dwd_traffic_session AS
SELECT
  sid,
  CAST(first_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  mid,
  channel,
  vc,
  ar,
  campaign,
  first_time,
  last_time,
  entry_page,
  exit_page,
  pages,
  seconds
FROM (
  SELECT
    sid,
    arrow_cast(CAST(split_part(first_page, chr(31), 1) AS BIGINT),
      'Timestamp(Microsecond, Some("UTC"))') AS first_time,
    split_part(first_page, chr(31), 2) AS entry_page,
    split_part(first_page, chr(31), 3) AS mid,
    split_part(first_page, chr(31), 4) AS channel,
    split_part(first_page, chr(31), 5) AS vc,
    split_part(first_page, chr(31), 6) AS ar,
    split_part(first_page, chr(31), 7) AS campaign,
    arrow_cast(CAST(split_part(last_page, chr(31), 1) AS BIGINT),
      'Timestamp(Microsecond, Some("UTC"))') AS last_time,
    split_part(last_page, chr(31), 2) AS exit_page,
    pages,
    CAST(coalesce(during_ms, 0) AS DECIMAL(18, 3)) / 1000 AS seconds
  FROM (
    SELECT
      sid,
      min(concat(CAST(CAST(ts AS BIGINT) AS VARCHAR), chr(31), page_id, chr(31), mid, chr(31), ch,
        chr(31), vc, chr(31), ar, chr(31), utm_campaign)) AS first_page,
      max(concat(CAST(CAST(ts AS BIGINT) AS VARCHAR), chr(31), page_id)) AS last_page,
      count(*) AS pages,
      sum(during_time) AS during_ms
    FROM page_log
    WHERE sid IS NOT NULL AND NOT is_bot
    GROUP BY sid
    UNION ALL
    SELECT
      sid,
      min(concat(CAST(CAST(ts AS BIGINT) AS VARCHAR), chr(31), page_id, chr(31), mid, chr(31), ch,
        chr(31), vc, chr(31), ar, chr(31), utm_campaign)) AS first_page,
      max(concat(CAST(CAST(ts AS BIGINT) AS VARCHAR), chr(31), page_id)) AS last_page,
      count(*) AS pages,
      sum(during_time) AS during_ms
    FROM dwd_traffic_page_without_sid
    GROUP BY sid
  ) AS ends
) AS sessions
