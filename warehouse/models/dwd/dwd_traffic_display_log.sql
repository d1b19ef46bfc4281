-- Grain: thing that a page showed. Key: event_id, mid, ts, page_id, item.
-- A query view: the log is kept once, as display_log.
-- Inputs: display_log, dim_device.
--
-- pos_seq: number among what the page showed, which some clients call order.
-- is_new: 1 on the device's first day (see dim_device). day: business day.
CREATE VIEW dwd_traffic_display_log AS
SELECT
  l.event_id, l.mid, l.page_id, l.display_type, l.item, l.item_type, l.pos_id,
  coalesce(l.pos_seq, l.pos_order) AS pos_seq, l.is_bot, l.ts,
  CASE WHEN CAST(l.ts AT TIME ZONE '${time_zone}' AS DATE) = d.first_day
    AND d.first_day = d.new_day THEN 1 ELSE 0 END AS is_new,
  CAST(l.ts AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM display_log AS l
LEFT JOIN dim_device AS d ON d.mid = l.mid
