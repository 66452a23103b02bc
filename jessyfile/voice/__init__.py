"""Hearing a question and speaking an answer: sound to words, words to sentences, sentences to sound. Knows no model that answers."""
