-- Grain: page view. Key: mid, sid, ts, page_id, item, where a client gives no
-- event_id. A query view: the log is kept once, as page_log.
-- Inputs: page_log, dim_device.
--
-- is_new: 1 on the device's first day, all day, whatever the client says (see
-- dim_device). day: business day. session_number: number of the device's session
-- by page views without a page before, for clients that send no sid.
CREATE VIEW dwd_traffic_page_log AS
SELECT
  p.mid, p.uid AS user_id, p.sid,
  sum(CASE WHEN p.last_page_id IS NULL THEN 1 ELSE 0 END)
    OVER (PARTITION BY p.mid ORDER BY p.ts) AS session_number,
  p.ar, p.ch AS channel, p.vc, p.ba, p.md, p.os, p.ua, p.utm_source, p.utm_campaign,
  CASE WHEN CAST(p.ts AT TIME ZONE '${time_zone}' AS DATE) = d.first_day
    AND d.first_day = d.new_day THEN 1 ELSE 0 END AS is_new,
  p.page_id, p.last_page_id, p.item, p.item_type, p.source_type,
  p.from_pos_id, p.from_pos_seq, p.refer_id, p.during_time,
  p.is_bot, p.ts,
  CAST(p.ts AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM page_log AS p
LEFT JOIN dim_device AS d ON d.mid = p.mid
