"use strict";
// Every word that the page says, in the browser's language where it is here, else in English.
const WORDS = {
  en: {
    skip: "To the question", model: "Model", thought: "Thought", auto: "as the question deserves", once: "once", low: "low", medium: "medium", high: "high", nine: "nine times",
    new: "New conversation", conversation: "Conversation", empty: "Ask something. A short question gets a short answer; a hard one is thought about several times.",
    question: "Question", send: "Send", stop: "Stop", key_title: "This server asks for its key", key: "Key", key_use: "Use it",
    you: "You", thinking: "thinking", drafts: "Drafts", rows: "Rows that stood before the question", iteration: "iteration", iterations: "iterations", seconds: "s", stands: "a row's answer as it stands",
    within: "ended by the level's seconds", cut: "stopped", agreed: "two drafts agreed", fallback: "answered instead", nothing: "there was nothing to say", forgot: "the oldest messages no longer fit",
    good: "Good", bad: "Bad", edit: "Better answer…", again: "Again", save: "Keep it", cancel: "Cancel", better: "What she should have said",
    kept: "Kept. Nothing leaves this machine.", lost: "The server does not answer.", busy: "Too many are asking; try again in a moment.", no_models: "No model is served.", ready: "Ready.",
  },
  tr: {
    skip: "Soruya geç", model: "Model", thought: "Düşünme", auto: "sorunun gerektirdiği kadar", once: "bir kez", low: "düşük", medium: "orta", high: "yüksek", nine: "dokuz kez",
    new: "Yeni sohbet", conversation: "Sohbet", empty: "Bir şey sor. Kısa soruya kısa cevap verir; zor sorunun üzerinde birkaç kez düşünür.",
    question: "Soru", send: "Gönder", stop: "Durdur", key_title: "Bu sunucu bir anahtar istiyor", key: "Anahtar", key_use: "Kullan",
    you: "Sen", thinking: "düşünüyor", drafts: "Taslaklar", rows: "Sorudan önce gösterilen satırlar", iteration: "tur", iterations: "tur", seconds: "sn", stands: "bir satırın cevabı, olduğu gibi",
    within: "seviyenin süresi doldu", cut: "durduruldu", agreed: "iki taslak aynı çıktı", fallback: "onun yerine cevaplayan", nothing: "söyleyecek bir şey yoktu", forgot: "en eski mesajlar artık sığmıyor",
    good: "İyi", bad: "Kötü", edit: "Daha iyi cevap…", again: "Yeniden", save: "Kaydet", cancel: "Vazgeç", better: "Ne demeliydi?",
    kept: "Kaydedildi. Hiçbir şey bu makineden çıkmaz.", lost: "Sunucu cevap vermiyor.", busy: "Şu anda çok kişi soruyor; birazdan yeniden dene.", no_models: "Sunulan model yok.", ready: "Hazır.",
  },
};
const LANGUAGE = (navigator.languages || [navigator.language]).map((one) => one.slice(0, 2)).find((one) => one in WORDS) || "en";
const word = (name) => WORDS[LANGUAGE][name] || WORDS.en[name];

document.documentElement.lang = LANGUAGE;
for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
document.getElementById("log").setAttribute("aria-label", word("conversation"));
