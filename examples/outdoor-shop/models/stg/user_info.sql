-- Grain: member. Key: id.
-- Inputs: customers.
--
-- Staff buy for tests.
CREATE MATERIALIZED VIEW user_info AS
SELECT
  customer_id AS id,
  tier AS user_level,
  CAST(NULL AS VARCHAR) AS gender,
  is_staff AS is_test,
  born AS birthday,
  joined_at AS create_time
FROM customers
