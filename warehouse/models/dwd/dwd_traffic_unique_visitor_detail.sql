-- Grain: device × business day. Key: day, mid.
-- Inputs: dwd_traffic_unique_visitor, dim_device.
--
-- first_time, page_id, channel, vc, ar: of its first page view of the day.
-- first_minute: minute of the day of it. is_new: on the device's first day.
CREATE MATERIALIZED VIEW dwd_traffic_unique_visitor_detail AS
SELECT
  day,
  mid,
  first_time,
  CAST(date_part('hour', first_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', first_time AT TIME ZONE '${time_zone}') AS INT) AS first_minute,
  page_id,
  channel,
  vc,
  ar,
  is_new
FROM (
  SELECT
    u.day,
    u.mid,
    arrow_cast(CAST(split_part(u.first_page, chr(31), 1) AS BIGINT),
      'Timestamp(Microsecond, Some("UTC"))') AS first_time,
    split_part(u.first_page, chr(31), 2) AS page_id,
    split_part(u.first_page, chr(31), 3) AS channel,
    split_part(u.first_page, chr(31), 4) AS vc,
    split_part(u.first_page, chr(31), 5) AS ar,
    CASE WHEN u.day = d.first_day AND d.first_day = d.new_day THEN 1 ELSE 0 END AS is_new
  FROM dwd_traffic_unique_visitor AS u
  JOIN dim_device AS d ON d.mid = u.mid
) AS first_pages
