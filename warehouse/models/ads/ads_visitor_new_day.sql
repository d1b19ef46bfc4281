-- Grain: business day × new device. Key: day, is_new. A query view.
-- Inputs: dwd_traffic_unique_visitor_detail, dws_traffic_vc_ch_ar_is_new_page_view_window.
--
-- uv: devices; pv; sessions that began; is_new: 1 on the device's first day.
CREATE VIEW ads_visitor_new_day AS
SELECT cur_date AS day, is_new, sum(first_of_day_uv_ct) AS uv, sum(pv_ct) AS pv,
  sum(sv_ct) AS sessions, sum(uj_ct) AS bounces
FROM dws_traffic_vc_ch_ar_is_new_page_view_window
GROUP BY cur_date, is_new
