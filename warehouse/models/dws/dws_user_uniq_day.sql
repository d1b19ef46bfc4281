-- Grain: business day. Key: day.
-- Inputs: dws_user_day.
--
-- active_state, order_state: the members who did anything, or ordered, that day,
-- as states: uniq_count(uniq_merge(…)) over any days is the number of different
-- members in all of them together. Who did anything has a row in dws_user_day, also for a
-- refund alone that was paid out; dws_user_user_login_window counts members with a page
-- view. active_uu_ct, order_uu_ct: of this day alone.
CREATE MATERIALIZED VIEW dws_user_uniq_day AS
SELECT
  day,
  active_state,
  order_state,
  uniq_count(active_state) AS active_uu_ct,
  uniq_count(order_state) AS order_uu_ct
FROM (
  SELECT
    day,
    uniq_state(user_id, 'member') AS active_state,
    uniq_state(user_id, 'member') FILTER (WHERE orders > 0) AS order_state
  FROM dws_user_day
  GROUP BY day
) AS days
