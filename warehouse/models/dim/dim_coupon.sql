-- Grain: coupon × what it is for. Key: coupon_id, range_id. A query view.
-- Inputs: coupon_info, coupon_range, base_dic.
--
-- As coupons are now; dim_coupon_history and dim_coupon_range_history have what they
-- were. range_type: what range_id is the number of: a category of the third level, a
-- brand or a product; a coupon for everything has one row, without range_id.
CREATE VIEW dim_coupon AS
SELECT
  c.id AS coupon_id,
  c.coupon_name,
  c.coupon_type,
  t.dic_name AS coupon_type_name,
  c.condition_amount,
  c.condition_num,
  c.benefit_amount,
  c.benefit_discount,
  coalesce(r.range_type, c.range_type) AS range_type,
  r.range_id,
  c.limit_num,
  c.start_time,
  c.end_time
FROM coupon_info AS c
LEFT JOIN coupon_range AS r ON r.coupon_id = c.id
LEFT JOIN base_dic AS t ON t.dic_code = c.coupon_type
