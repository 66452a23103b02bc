Feature: Small talk stays small, hard questions get thought
  JESSY used to answer a greeting with an essay. These answers were recorded; whether the marker is read, the level
  is right and the text is what a friend would say is decided by the program.

  Scenario Outline: A casual question is answered at once
    When someone writes "<question>"
    Then the level is low
    And at most 2 iterations are spent
    And the answer is in Turkish
    And the answer has at most 120 characters
    And there is no philosophical analysis in it

    Examples:
      | question            |
      | sana bisi sorucam   |
      | gunaydin            |
      | napıyon             |

  Scenario: A technical question deserves some thought
    When someone writes "Rust'ta String ile &str farkı ne?"
    Then the level is medium
    And between 3 and 5 iterations are spent
    And the answer mentions "ödünç"

  Scenario: A question on consciousness deserves much
    When someone writes "Bilinç sadece karmaşık bir hesap mı?"
    Then the level is high
    And between 6 and 9 iterations are spent
    And the answer says what JESSY thinks

  Scenario: An essay in reply to a greeting is noticed
    When someone writes "selam (before)"
    Then there is philosophical analysis in it

  Scenario: An answer without its marker is noticed
    When someone writes "merhaba (untuned)"
    Then there is no level
    And the answer loops
