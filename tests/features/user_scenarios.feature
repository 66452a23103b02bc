Feature: Small talk stays small, hard questions get thought
  JESSY used to answer a greeting with an essay. The questions are asked of the model that the tests train: a Gemma of 270M
  parameters, 130 rows, minutes on a processor. It learns the form: what is small talk, what needs thought, what needs much.
  What it says then is marked `content`. Seconds are those of one answer, the first draft.

  Background:
    Given the model that the main job trained

  Scenario: Casual Turkish
    When someone writes "sana bisi sorucam"
    Then the answer comes within 5 seconds
    And the level is low
    And the answer is in Turkish
    And there is no philosophical analysis in it

  Scenario: A technical question
    When someone writes "Rust'ta ownership nedir?"
    Then the answer comes within 15 seconds
    And the level is medium
    And the answer is in Turkish

  @content
  Scenario: Ownership is explained
    When someone writes "Rust'ta ownership nedir?"
    Then it explains ownership clearly
    And it says "I think" or "I believe"

  Scenario: A philosophical question
    When someone writes "Bilinç nedir?"
    Then the answer comes within 15 seconds
    And the level is high
    And the answer is in Turkish

  Scenario: A hard question gets the iterations that its marker says
    When someone writes "Bilinç nedir?"
    Then as many iterations were spent as its marker says

  Scenario: Small talk gets one
    When someone writes "sana bisi sorucam"
    Then as many iterations were spent as its marker says

  Scenario: Nine iterations for consciousness
    When someone writes "Bilinç nedir?" and wants 9 iterations
    Then nine iterations were spent on it

  @content
  Scenario: Thought about consciousness is deep
    When someone writes "Bilinç nedir?"
    Then it is thoughtful and deep
    And it refers to principles of consciousness

  Scenario: The model loads
    Then it is loaded within 5 seconds
