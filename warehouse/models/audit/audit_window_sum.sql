-- Must be empty: days whose counts are not the sum of what their windows, channels or
-- provinces have, of everything that may be summed. A query view.
-- Inputs: ads_live_day, ads_new_order_user_stats, dwd_interaction_comment,
-- dwd_user_active_day, dwd_user_back_day, dws_trade_cart_add_uu_window,
-- dws_trade_order_window, dws_trade_payment_suc_window,
-- dws_trade_province_order_window, dws_trade_sku_event_window,
-- dws_traffic_channel_day, dws_traffic_uniq_window, dws_user_day,
-- dws_user_user_login_window.
CREATE VIEW audit_window_sum AS
SELECT day, figure, sum(of_day) AS count_of_day, sum(of_windows) AS count_of_windows
FROM (
  SELECT day, 'orders' AS figure, orders AS of_day, 0 AS of_windows FROM ads_live_day
  UNION ALL SELECT cur_date, 'orders', 0, order_ct FROM dws_trade_order_window
  UNION ALL SELECT day, 'orders by province', orders, 0 FROM ads_live_day
  UNION ALL SELECT cur_date, 'orders by province', 0, order_count FROM dws_trade_province_order_window
  UNION ALL SELECT day, 'paid orders', paid_orders, 0 FROM ads_live_day
  UNION ALL SELECT cur_date, 'paid orders', 0, payment_suc_ct FROM dws_trade_payment_suc_window
  UNION ALL SELECT day, 'new buyers', new_order_users, 0 FROM ads_new_order_user_stats
  UNION ALL SELECT cur_date, 'new buyers', 0, new_order_uu_ct FROM dws_trade_order_window
  UNION ALL SELECT day, 'new payers', new_paid_users, 0 FROM ads_new_order_user_stats
  UNION ALL SELECT cur_date, 'new payers', 0, payment_new_uu_ct FROM dws_trade_payment_suc_window
  UNION ALL SELECT day, 'carts', carts, 0 FROM dws_user_day
  UNION ALL SELECT cur_date, 'carts', 0, cart_add_ct FROM dws_trade_cart_add_uu_window
  UNION ALL SELECT day, 'carts by sku', carts, 0 FROM dws_user_day
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'carts by sku', 0, cart_ct FROM dws_trade_sku_event_window
  UNION ALL SELECT day, 'favourites by sku', favors, 0 FROM dws_user_day
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'favourites by sku', 0, favor_ct FROM dws_trade_sku_event_window
  UNION ALL SELECT day, 'comments by sku', 1, 0 FROM dwd_interaction_comment WHERE NOT is_test
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'comments by sku', 0, comment_ct FROM dws_trade_sku_event_window
  UNION ALL SELECT day, 'active members', 1, 0 FROM dwd_user_active_day
  UNION ALL SELECT cur_date, 'active members', 0, uu_ct FROM dws_user_user_login_window
  UNION ALL SELECT day, 'members who came back', 1, 0 FROM dwd_user_back_day
  UNION ALL SELECT cur_date, 'members who came back', 0, back_ct FROM dws_user_user_login_window
  UNION ALL SELECT day, 'page views by channel', pv, 0 FROM ads_live_day
  UNION ALL SELECT day, 'page views by channel', 0, pv FROM dws_traffic_channel_day
  UNION ALL SELECT day, 'page views by state', pv, 0 FROM ads_live_day
  UNION ALL SELECT cur_date, 'page views by state', 0, pv_ct FROM dws_traffic_uniq_window
) AS parts
GROUP BY day, figure
HAVING sum(of_day) <> sum(of_windows)
