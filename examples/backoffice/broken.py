def half_a_function(
